//! Who a client is, by its certificate.

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::name;

/// Text for headers: visible ASCII and blanks.
#[derive(Debug)]
pub struct Identity {
    /// DER, as a byte sequence of a structured field (RFC 8941 section 3.3.5).
    pub certificate: String,
    /// RFC 4514.
    pub subject: String,
    /// SHA-256 over the DER, hexadecimal in lower case.
    pub fingerprint: String,
}

impl Identity {
    /// Of the owner of a certificate, DER. None when it cannot be parsed.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let digest = digest(&SHA256, der);
        Some(Self {
            certificate: format!(":{}:", Base64::encode_string(der)),
            subject: name::show(certificate.subject()),
            fingerprint: name::hexadecimal(digest.as_ref()),
        })
    }
}
