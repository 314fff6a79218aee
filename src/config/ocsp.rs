//! Answers of an authority about the state of certificates (OCSP, RFC 6960 section 4.2), as far as a server has to
//! understand what it staples. Signatures are checked by those who rely on them: the clients.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use x509_parser::asn1_rs::{Any, Class, Error, FromDer as _, GeneralizedTime, Tag, oid};
use x509_parser::prelude::X509Certificate;

/// Why a file cannot be stapled. The text continues "OCSP response 'FILE' …".
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("is not DER of an OCSPResponse")]
    Damaged,
    #[error("is an error of the authority ({0})")]
    Unsuccessful(&'static str),
}

/// What a response says.
#[derive(Debug)]
pub(super) struct Answers<'a>(Vec<Answer<'a>>);

/// About one certificate.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// The algorithm of the next.
    hash: &'a [u8],
    issuer_name: &'a [u8],
    serial: &'a [u8],
    pub(super) state: State,
    /// Seconds since the epoch.
    pub(super) this_update: i64,
    /// Seconds since the epoch.
    pub(super) next_update: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Revoked,
    Unknown,
}

pub(super) fn parse(response: &[u8]) -> Result<Answers<'_>, Refusal> {
    let basic = match outer(response).map_err(|_| Refusal::Damaged)? {
        (0, Some(basic)) => basic,
        (0, None) => return Err(Refusal::Damaged),
        (status, _) => return Err(Refusal::Unsuccessful(status_name(status))),
    };
    let answers = answers(basic).map_err(|_| Refusal::Damaged)?;
    Ok(Answers(answers))
}

impl<'a> Answers<'a> {
    /// What is said of a certificate (DER).
    pub(super) fn for_certificate(&self, leaf: &[u8]) -> Option<&Answer<'a>> {
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        let issuer = leaf.issuer().as_raw();
        let is_meant = |answer: &&Answer<'_>| {
            answer.serial == leaf.raw_serial() && answer.names_issuer(issuer)
        };
        self.0.iter().find(is_meant)
    }
}

impl Answer<'_> {
    /// By a hash that we know; of others nothing can be said.
    fn names_issuer(&self, name: &[u8]) -> bool {
        let algorithm = if self.hash == oid!(raw 1.3.14.3.2.26) {
            &SHA1_FOR_LEGACY_USE_ONLY
        } else if self.hash == oid!(raw 2.16.840.1.101.3.4.2.1) {
            &SHA256
        } else {
            return true;
        };
        digest::digest(algorithm, name).as_ref() == self.issuer_name
    }
}

/// `OCSPResponse`: its status, and the content of its `BasicOCSPResponse`.
fn outer(response: &[u8]) -> Result<(u8, Option<&[u8]>), Error> {
    let mut file = Reader(response);
    let mut outer = file.sequence()?;
    file.end()?;
    let status = match outer.expect(Class::Universal, Tag::Enumerated.0)? {
        [status] => *status,
        _ => return Err(Error::BerValueError),
    };
    let Some(mut bytes) = outer.optional(0)? else {
        return Ok((status, None));
    };
    let mut bytes = bytes.sequence()?;
    let kind = bytes.expect(Class::Universal, Tag::Oid.0)?;
    if kind != oid!(raw 1.3.6.1.5.5.7.48.1.1) {
        return Err(Error::BerValueError);
    }
    let basic = bytes.expect(Class::Universal, Tag::OctetString.0)?;
    Ok((status, Some(basic)))
}

/// Those in a `BasicOCSPResponse`.
fn answers(basic: &[u8]) -> Result<Vec<Answer<'_>>, Error> {
    let mut data = Reader(basic).sequence()?.sequence()?;
    let _version = data.optional(0)?;
    let _responder = data.any()?;
    let _produced_at = data.time()?;
    let mut list = data.sequence()?;
    let mut answers = Vec::new();
    while !list.0.is_empty() {
        answers.push(answer(list.sequence()?)?);
    }
    Ok(answers)
}

/// `SingleResponse`.
fn answer(mut single: Reader<'_>) -> Result<Answer<'_>, Error> {
    let mut id = single.sequence()?;
    let hash = id.sequence()?.expect(Class::Universal, Tag::Oid.0)?;
    let issuer_name = id.expect(Class::Universal, Tag::OctetString.0)?;
    let _issuer_key = id.expect(Class::Universal, Tag::OctetString.0)?;
    let serial = id.expect(Class::Universal, Tag::Integer.0)?;
    let state = single.any()?;
    let state = match (state.class(), state.tag().0) {
        (Class::ContextSpecific, 0) => State::Good,
        (Class::ContextSpecific, 1) => State::Revoked,
        (Class::ContextSpecific, 2) => State::Unknown,
        _ => return Err(Error::BerValueError),
    };
    let this_update = single.time()?;
    let next_update = single.optional(0)?;
    Ok(Answer {
        hash,
        issuer_name,
        serial,
        state,
        this_update,
        next_update: next_update.map(|mut inner| inner.time()).transpose()?,
    })
}

/// What is left of a DER value's content.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn any(&mut self) -> Result<Any<'a>, Error> {
        let (rest, any) = Any::from_der(self.0).map_err(|_| Error::BerValueError)?;
        self.0 = rest;
        Ok(any)
    }

    fn expect(&mut self, class: Class, tag: u32) -> Result<&'a [u8], Error> {
        let any = self.any()?;
        match (any.class(), any.tag().0) == (class, tag) {
            true => Ok(any.data),
            false => Err(Error::BerValueError),
        }
    }

    fn sequence(&mut self) -> Result<Self, Error> {
        self.expect(Class::Universal, Tag::Sequence.0).map(Self)
    }

    /// What is tagged so, if it comes next.
    fn optional(&mut self, number: u32) -> Result<Option<Self>, Error> {
        let mut ahead = Self(self.0);
        let next = (!ahead.0.is_empty()).then(|| ahead.any()).transpose()?;
        let tagged = next.filter(|it| (it.class(), it.tag().0) == (Class::ContextSpecific, number));
        if tagged.is_some() {
            self.0 = ahead.0;
        }
        Ok(tagged.map(|it| Self(it.data)))
    }

    /// Seconds since the epoch.
    fn time(&mut self) -> Result<i64, Error> {
        let text = self.expect(Class::Universal, Tag::GeneralizedTime.0)?;
        let time = GeneralizedTime::from_bytes(text)?.utc_datetime()?;
        Ok(time.unix_timestamp())
    }

    fn end(&self) -> Result<(), Error> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Error::BerValueError),
        }
    }
}

/// `OCSPResponseStatus`.
fn status_name(status: u8) -> &'static str {
    match status {
        1 => "malformedRequest",
        2 => "internalError",
        3 => "tryLater",
        5 => "sigRequired",
        6 => "unauthorized",
        _ => "of a kind that is not known",
    }
}
