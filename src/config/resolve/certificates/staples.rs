//! `ocsp_file`: what the authority says of a certificate's state, kept fresh by the operator.
//!
//! Such a file comes and goes by itself, often hours after the certificate: what is wrong in it is a warning, and the
//! certificate is shown without it.

use std::path::PathBuf;

use crate::config::defaults::MAX_PEM_SIZE;
use crate::config::ocsp::{self, State};
use crate::config::pem;
use crate::config::report::{Finding, Findings};
use crate::config::source::{self, Located};
use crate::config::types::{Certificate, Staple};

/// The response in a file, if it is one for this certificate and for now.
pub(in crate::config::resolve) fn read(
    file: &Located<PathBuf>,
    certificate: &Certificate,
    now: i64,
    findings: &Findings,
) -> Option<Staple> {
    let response = match source::read_limited(&file.value, MAX_PEM_SIZE) {
        Ok(response) => response,
        Err(refusal) => {
            let finding = Finding::error(refusal.message).at(file.place, "");
            findings.push(finding.help(refusal.help));
            return None;
        }
    };
    match check(&response, certificate, now) {
        Ok(next_update) => Some(Staple {
            response: response.into(),
            next_update,
        }),
        Err((what, help)) => {
            let message = format!("OCSP response '{}' {what}", file.value.display());
            let finding = Finding::warning(message).at(file.place, "not stapled");
            findings.push(finding.help(help));
            None
        }
    }
}

type Problem = (String, &'static str);

/// Until when it may be shown.
fn check(response: &[u8], certificate: &Certificate, now: i64) -> Result<i64, Problem> {
    const FETCH: &str =
        "fetch it anew, as with: openssl ocsp -issuer CA.pem -cert CERT.pem -url URL -respout FILE";
    let answers = ocsp::parse(response).map_err(|error| (error.to_string(), FETCH))?;
    let leaf = certificate.chain.first().map(|leaf| &leaf[..]);
    let answer = leaf.and_then(|leaf| answers.for_certificate(leaf));
    let Some(answer) = answer else {
        let file = certificate.cert_file.display();
        return Err((format!("is not about certificate '{file}'"), FETCH));
    };
    let until = answer.next_update.unwrap_or(i64::MAX);
    match answer.state {
        State::Revoked => Err((
            "says that the certificate was revoked".to_owned(),
            "get another certificate: clients refuse this one",
        )),
        State::Unknown => Err(("says that the authority does not know it".to_owned(), FETCH)),
        State::Good if answer.this_update > now => {
            let from = pem::show_date(answer.this_update);
            let help = "check the clock of this machine";
            Err((format!("is not valid before {from}"), help))
        }
        State::Good if until < now => Err((format!("expired on {}", pem::show_date(until)), FETCH)),
        State::Good => Ok(until),
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ocsp/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    fn leaf() -> Certificate {
        let leaf = CertificateDer::from_pem_slice(&fixture("leaf.pem")).unwrap();
        let mut certificate = Certificate::placeholder("leaf.pem".into());
        certificate.chain = vec![leaf.to_vec().into()];
        certificate
    }

    /// A minute after the responses were made, by openssl; the shortest of them holds for a minute.
    fn made() -> i64 {
        let expired = fixture("expired.der");
        let answers = ocsp::parse(&expired).unwrap();
        let leaf = leaf();
        let answer = answers.for_certificate(&leaf.chain[0]).unwrap();
        assert_eq!(answer.next_update, Some(answer.this_update + 60));
        answer.this_update + 60
    }

    #[test]
    fn only_good_news_of_now_is_stapled() {
        let (leaf, now) = (leaf(), made());
        let check = |name, now| check(&fixture(name), &leaf, now).map_err(|(what, _)| what);
        assert_eq!(check("good.der", now), Ok(i64::MAX));
        assert_eq!(check("sha256.der", now), Ok(i64::MAX));
        assert_eq!(check("expired.der", now), Ok(now));
        assert!(
            check("expired.der", now + 1)
                .unwrap_err()
                .starts_with("expired on 20")
        );
        assert!(
            check("good.der", now - 3600)
                .unwrap_err()
                .starts_with("is not valid before")
        );
        assert!(check("revoked.der", now).unwrap_err().contains("revoked"));
        let mut other = leaf.clone();
        other.chain = vec![rcgen_leaf().into()];
        let refused = super::check(&fixture("good.der"), &other, now)
            .unwrap_err()
            .0;
        assert_eq!(refused, "is not about certificate 'leaf.pem'");
    }

    fn rcgen_leaf() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn whatever_is_damaged_is_refused_or_says_something_else() {
        let good = fixture("good.der");
        for at in 0..good.len() {
            assert!(ocsp::parse(&good[..at]).is_err(), "{at}");
            for bit in 0..8 {
                let mut changed = good.clone();
                changed[at] ^= 1 << bit;
                // Not to panic is enough: signatures are for clients.
                let _ = check(&changed, &leaf(), made());
            }
        }
        let longer = [&good[..], &[0]].concat();
        assert!(ocsp::parse(&longer).is_err());
    }
}
