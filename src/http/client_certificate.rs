//! What upstreams are told of a client's certificate: `Client-Cert` (RFC 9440), and what is in it in words that need no
//! parser. Once any site verifies clients, nobody else can say these things: see [`remove`].

use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue};

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
const VERIFY: HeaderName = HeaderName::from_static("x-client-cert-verify");
const SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const FINGERPRINT: HeaderName = HeaderName::from_static("x-client-cert-fingerprint");

static OURS: [HeaderName; 5] = [CLIENT_CERT, CLIENT_CERT_CHAIN, VERIFY, SUBJECT, FINGERPRINT];

/// What is known of a client by its certificate.
#[derive(Clone, Debug, Default)]
pub enum Verification {
    /// The site does not ask.
    #[default]
    Unasked,
    /// It has shown none.
    Nobody,
    Verified(Rc<ClientCertificate>),
}

/// A certificate that an authority of the site's vouches for.
#[derive(Debug)]
pub struct ClientCertificate {
    /// DER, as RFC 9440 section 2.2 has it.
    pub certificate: HeaderValue,
    /// RFC 4514.
    pub subject: HeaderValue,
    /// SHA-256, hexadecimal.
    pub fingerprint: HeaderValue,
}

/// Takes away what a client says of its certificate. (Other spellings no upstream gets: see `proxy::guarded`.)
pub(super) fn remove(headers: &mut HeaderMap) {
    for name in &OURS {
        headers.remove(name);
    }
}

/// Says what the handshake has shown.
pub(super) fn tell(headers: &mut HeaderMap, verification: &Verification) {
    match verification {
        Verification::Unasked => {}
        Verification::Nobody => {
            headers.insert(VERIFY, HeaderValue::from_static("NONE"));
        }
        Verification::Verified(client) => {
            headers.insert(VERIFY, HeaderValue::from_static("SUCCESS"));
            headers.insert(CLIENT_CERT, client.certificate.clone());
            headers.insert(SUBJECT, client.subject.clone());
            headers.insert(FINGERPRINT, client.fingerprint.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_what_a_client_says() {
        let mut headers = HeaderMap::new();
        for name in [
            "client-cert",
            "client-cert-chain",
            "x-client-cert-verify",
            "X-Client-Cert-Subject",
            "x-client-cert-fingerprint",
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name.clone(), HeaderValue::from_static("forged"));
            headers.append(name, HeaderValue::from_static("twice"));
        }
        headers.insert("x-client-cert", HeaderValue::from_static("another"));
        remove(&mut headers);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-client-cert"]);
    }
}
