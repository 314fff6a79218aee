//! Why a client is refused for its certificate, in words that an operator can act on.

use std::io;

use rustls::{CertificateError, Error};

/// None: the handshake failed for another reason.
pub fn reason(error: &io::Error) -> Option<String> {
    Some(match error.get_ref()?.downcast_ref()? {
        Error::NoCertificatesPresented => "it has shown no certificate".to_owned(),
        Error::InvalidCertificate(error) => match word(error) {
            Some(word) => word.to_owned(),
            None => format!("its certificate cannot be verified: {error}"),
        },
        _ => return None,
    })
}

fn word(error: &CertificateError) -> Option<&'static str> {
    use CertificateError as Why;
    Some(match error {
        Why::Expired | Why::ExpiredContext { .. } => "its certificate has expired",
        Why::NotValidYet | Why::NotValidYetContext { .. } => "its certificate is not valid yet",
        Why::UnknownIssuer => "its certificate leads to no authority in 'client_ca'",
        Why::Revoked => "its certificate was taken back ('client_crl')",
        Why::UnknownRevocationStatus => {
            "an authority of its certificate has no list in 'client_crl'"
        }
        Why::ExpiredRevocationList | Why::ExpiredRevocationListContext { .. } => {
            "a list in 'client_crl' is out of date"
        }
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => {
            "its certificate is not for clients (extended key usage)"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_certificate_is_told() {
        let told = |error: Error| reason(&io::Error::new(io::ErrorKind::InvalidData, error));
        let expired = told(CertificateError::Expired.into());
        assert_eq!(expired.as_deref(), Some("its certificate has expired"));
        let damaged = told(CertificateError::BadEncoding.into()).unwrap();
        assert!(damaged.contains("BadEncoding"), "{damaged}");
        assert_eq!(told(Error::DecryptError), None);
        assert_eq!(reason(&io::ErrorKind::ConnectionReset.into()), None);
    }
}
