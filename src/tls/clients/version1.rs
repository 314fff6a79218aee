//! Certificates of clients that are of X.509 version 1. Webpki knows nothing of them, but `openssl x509 -req` made them for
//! twenty years, and every other server takes them.
//!
//! They have no extensions: nothing in them says what they are for or who may have issued more. So one is taken for a
//! client's own only, by an authority of `client_ca` itself, and where there are no lists of revoked ones to look at.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::der::{Reader, SEQUENCE};
use crate::config::types::Trust;

const EXPLICIT_VERSION: u8 = 0xa0;

/// Webpki's verifier, which says no to version 1, and then this.
#[derive(Debug)]
pub(super) struct WithVersion1 {
    pub(super) inner: Arc<dyn ClientCertVerifier>,
    pub(super) authorities: Trust,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// The parts of a certificate that a signature is about.
struct Parts<'a> {
    /// What is signed.
    body: &'a [u8],
    /// Without the header.
    algorithm: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    key: Key<'a>,
    is_version1: bool,
}

/// A subjectPublicKeyInfo.
struct Key<'a> {
    whole: &'a [u8],
    /// Without the header.
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> Parts<'a> {
    /// RFC 5280 section 4.1.
    fn of(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader(Reader(der).expect(SEQUENCE)?.content);
        let body = outer.expect(SEQUENCE)?;
        let algorithm = outer.expect(SEQUENCE)?.content;
        let signature = outer.bits()?;
        let mut fields = Reader(body.content);
        let first = fields.next()?;
        let is_version1 = first.tag != EXPLICIT_VERSION;
        if !is_version1 {
            let _serial = fields.next()?;
        }
        let inner = fields.expect(SEQUENCE)?.content;
        let issuer = fields.expect(SEQUENCE)?.whole;
        let _validity = fields.expect(SEQUENCE)?;
        let subject = fields.expect(SEQUENCE)?.whole;
        let key = fields.expect(SEQUENCE)?;
        let mut parts = Reader(key.content);
        let key = Key {
            whole: key.whole,
            algorithm: parts.expect(SEQUENCE)?.content,
            bits: parts.bits()?,
        };
        (inner == algorithm).then_some(Self {
            body: body.whole,
            algorithm,
            signature,
            issuer,
            subject,
            key,
            is_version1,
        })
    }

    /// Of a certificate that is of version 1.
    fn of_version1(der: &'a [u8]) -> Option<Self> {
        Self::of(der).filter(|parts| parts.is_version1)
    }
}

impl Key<'_> {
    fn has_signed(
        &self,
        message: &[u8],
        signature: &[u8],
        algorithm: &dyn SignatureVerificationAlgorithm,
    ) -> bool {
        let fits = algorithm.public_key_alg_id().as_ref() == self.algorithm;
        fits && algorithm
            .verify_signature(self.bits, message, signature)
            .is_ok()
    }
}

impl WithVersion1 {
    fn verify(&self, leaf: &Parts<'_>, der: &[u8], now: UnixTime) -> Result<(), CertificateError> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding)?;
        let validity = certificate.validity();
        let now = i64::try_from(now.as_secs()).map_err(|_| CertificateError::BadEncoding)?;
        if !rest.is_empty() {
            return Err(CertificateError::BadEncoding);
        }
        if now < validity.not_before.timestamp() {
            return Err(CertificateError::NotValidYet);
        }
        if now > validity.not_after.timestamp() {
            return Err(CertificateError::Expired);
        }
        let signed = |authority: &Vec<u8>| {
            Parts::of(authority).is_some_and(|authority| self.is_issuer(&authority, leaf))
        };
        match self.authorities.authorities.iter().any(signed) {
            true => Ok(()),
            false => Err(CertificateError::UnknownIssuer),
        }
    }

    fn is_issuer(&self, authority: &Parts<'_>, leaf: &Parts<'_>) -> bool {
        let all = self.algorithms.all.iter();
        let mut fitting = all.filter(|it| it.signature_alg_id().as_ref() == leaf.algorithm);
        authority.subject == leaf.issuer
            && fitting.any(|it| authority.key.has_signed(leaf.body, leaf.signature, *it))
    }
}

impl ClientCertVerifier for WithVersion1 {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match Parts::of_version1(end_entity) {
            None => self
                .inner
                .verify_client_cert(end_entity, intermediates, now),
            Some(leaf) => {
                self.verify(&leaf, end_entity, now)?;
                Ok(ClientCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(leaf) = Parts::of_version1(certificate) else {
            return self
                .inner
                .verify_tls12_signature(message, certificate, signed);
        };
        let mapping = self.algorithms.mapping.iter();
        let mut possible = mapping
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| *algorithms);
        match possible.any(|it| leaf.key.has_signed(message, signed.signature(), *it)) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match Parts::of_version1(certificate) {
            None => self
                .inner
                .verify_tls13_signature(message, certificate, signed),
            Some(leaf) => {
                let key = leaf.key.whole.into();
                verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
            }
        }
    }

    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
