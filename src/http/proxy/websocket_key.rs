//! The opening handshake of a WebSocket client (RFC 6455 section 4.1), for clients whose HTTP version has none.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::HeaderValue;

/// What a server appends to the key before it hashes it (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

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
        Self(base64(&bytes))
    }

    pub(super) fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("base64 is visible ASCII")
    }

    /// Whether `accept` is the `Sec-WebSocket-Accept` of this key.
    pub(super) fn is_accepted_by(&self, accept: &HeaderValue) -> bool {
        let hash = digest(
            &SHA1_FOR_LEGACY_USE_ONLY,
            (self.0.clone() + GUID).as_bytes(),
        );
        accept.as_bytes() == base64(hash.as_ref()).as_bytes()
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let wide = group.iter().enumerate().fold(0_u32, |wide, (at, byte)| {
            wide | u32::from(*byte) << (16 - 8 * at)
        });
        for at in 0..4 {
            let sextet = (wide >> (18 - 6 * at)) as usize & 63;
            text.push(if at <= group.len() {
                char::from(ALPHABET[sextet])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let key = Key("dGhlIHNhbXBsZSBub25jZQ==".into());
        assert!(key.is_accepted_by(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert!(!key.is_accepted_by(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")));
        assert_eq!(base64(b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(
            [base64(b"f"), base64(b"fo"), base64(b"foo")],
            ["Zg==", "Zm8=", "Zm9v"]
        );
    }

    #[test]
    fn keys_differ() {
        assert_ne!(Key::random().0, Key::random().0);
    }
}
