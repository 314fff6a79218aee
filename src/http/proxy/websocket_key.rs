//! The opening handshake of a WebSocket (RFC 6455 section 4) for who comes, or is asked, by an HTTP version that has none.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64ct::{Base64, Encoding as _};
use http::header::SEC_WEBSOCKET_KEY;
use http::{HeaderMap, HeaderValue};

/// What a server appends to the key before it hashes it (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Letters of a key: 16 bytes in base64.
const LENGTH: usize = 24;

/// A `Sec-WebSocket-Key`.
#[derive(Debug)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn random() -> Self {
        let mut bytes = [0; 16];
        // Its purpose is not secrecy: a cache must not have the answer at hand.
        if aws_lc_rs::rand::fill(&mut bytes).is_err() {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            bytes = now.as_nanos().to_ne_bytes();
        }
        Self(Base64::encode_string(&bytes))
    }

    pub(super) fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("base64 is visible ASCII")
    }

    /// A client's key; None when it is none.
    pub(super) fn of_client(headers: &HeaderMap) -> Option<Self> {
        let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
        let key = keys.next()?.to_str().ok()?;
        let is_one = key.len() == LENGTH && key.ends_with("==") && keys.next().is_none();
        is_one.then(|| Self(key.to_owned()))
    }

    /// The `Sec-WebSocket-Accept` of this key.
    pub(super) fn acceptance(&self) -> HeaderValue {
        let hash = digest(
            &SHA1_FOR_LEGACY_USE_ONLY,
            (self.0.clone() + GUID).as_bytes(),
        );
        HeaderValue::from_str(&Base64::encode_string(hash.as_ref()))
            .expect("base64 is visible ASCII")
    }

    /// Whether `accept` is the `Sec-WebSocket-Accept` of this key.
    pub(super) fn is_accepted_by(&self, accept: &HeaderValue) -> bool {
        *accept == self.acceptance()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let key = Key("dGhlIHNhbXBsZSBub25jZQ==".into());
        assert!(key.is_accepted_by(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert!(!key.is_accepted_by(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")));
    }

    #[test]
    fn what_is_a_key() {
        let key = |values: &[&'static str]| {
            let values = values.iter().map(|it| HeaderValue::from_static(it));
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SEC_WEBSOCKET_KEY, value);
            }
            Key::of_client(&headers).is_some()
        };
        let sound = "dGhlIHNhbXBsZSBub25jZQ==";
        assert!(key(&[sound]));
        assert!(!key(&[]) && !key(&[sound, sound]) && !key(&["dGhlIHNhbXBsZQ=="]));
    }

    #[test]
    fn keys_differ() {
        assert_ne!(Key::random().0, Key::random().0);
    }
}
