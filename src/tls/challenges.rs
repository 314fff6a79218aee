//! Handshakes of an authority that looks whose a name is (tls-alpn-01, RFC 8737).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, CustomExtension};
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;

use super::placeholder;
use crate::config::types::{AcmeChallenge, ChallengeAnswer, Config};

/// The protocol of such a handshake: nothing is said after it.
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// The certificates that are shown to authorities, by name.
#[derive(Debug, Default)]
pub struct Challenges(RwLock<HashMap<String, Arc<CertifiedKey>>>);

impl Challenges {
    /// None: no site of this configuration proves its names that way.
    pub fn new(config: &Config) -> Option<Arc<Self>> {
        let tables = config.sites.iter().filter_map(|site| site.tls.as_ref());
        let mut acme = tables.filter_map(|tls| tls.acme.as_ref());
        acme.any(|acme| acme.challenge == AcmeChallenge::TlsAlpn01)
            .then(Arc::default)
    }

    /// From now on these and no others are given.
    pub fn set(&self, answers: &[ChallengeAnswer]) {
        let certificates = answers.iter().filter_map(|answer| match answer {
            ChallengeAnswer::Tls { name, digest } => Some((
                name.to_ascii_lowercase(),
                Arc::new(certificate(name, digest)?),
            )),
            ChallengeAnswer::Http { .. } => None,
        });
        let certificates = certificates.collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// Whether a client speaks this protocol and no other.
    pub(super) fn concerns(hello: &ClientHello<'_>) -> bool {
        let offered = hello
            .alpn()
            .map(|mut offered| (offered.next(), offered.next()));
        offered == Some((Some(PROTOCOL), None))
    }

    pub(super) fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name?).cloned()
    }
}

/// RFC 8737 section 3.
fn certificate(name: &str, digest: &[u8]) -> Option<CertifiedKey> {
    let mut params = CertificateParams::new([name.to_owned()]).ok()?;
    let extension = CustomExtension::new_acme_identifier(digest.get(..32)?);
    params.custom_extensions = vec![extension];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    placeholder::self_signed(params, &provider).ok()
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    #[test]
    fn the_certificate_has_the_name_and_the_digest() {
        let challenges = Challenges::default();
        let digest = (0..32).collect::<Vec<u8>>();
        let name = "A.example.com".to_owned();
        challenges.set(&[ChallengeAnswer::Tls { name, digest }]);
        let key = challenges.find(Some("a.example.com")).unwrap();
        let (_, shown) = X509Certificate::from_der(&key.cert[0]).unwrap();
        let extension = shown
            .extensions()
            .iter()
            .find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
            .unwrap();
        assert!(extension.critical);
        assert_eq!(extension.value[..2], [4, 32]);
        assert_eq!(extension.value[2..], (0..32).collect::<Vec<u8>>());
        challenges.set(&[]);
        assert!(challenges.find(Some("a.example.com")).is_none());
        assert!(challenges.find(None).is_none());
    }
}
