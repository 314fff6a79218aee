//! What a client may say after the body of a request, over whatever HTTP (RFC 9110 section 6.5.1): the one list. Nobody may
//! look at it before the body is read, so it must not change what was decided before.

use http::{HeaderMap, HeaderName};

use super::fields;
use super::spelling::is_alike;

/// What becomes of a field after the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passes,
    /// It says who the client is, or which way it came: that is not its to say, and the rest is sound.
    TakenAway,
    /// It would change what the request means, so the request is malformed.
    Refused,
}

/// Framing, routing, authentication, what asks for something else, and how to read the body.
const REFUSED: [&str; 27] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const TAKEN_AWAY: [&str; 4] = ["forwarded", "via", "x-real-ip", "x-request-id"];

/// The same, whatever follows.
const FAMILIES: [&str; 3] = ["client-cert", "x-client-cert-", "x-forwarded-"];

/// Judges a field by its name, in whatever case and spelling.
pub fn judge(name: &[u8]) -> Verdict {
    let is = |known: &&str| is_alike(known.as_bytes(), name);
    let begins = |family: &&str| {
        let start = name.get(..family.len());
        start.is_some_and(|start| is_alike(family.as_bytes(), start))
    };
    if REFUSED.iter().any(is) {
        Verdict::Refused
    } else if TAKEN_AWAY.iter().any(is) || FAMILIES.iter().any(begins) {
        Verdict::TakenAway
    } else {
        Verdict::Passes
    }
}

/// Why a request's trailers are refused.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    #[error("the request has '{0}' after its body")]
    Misplaced(HeaderName),
    #[error("the request has what is no field after its body")]
    Malformed,
}

/// Refuses what would change the request, and what has no form in HTTP/1.1.
pub(super) fn check(trailers: &HeaderMap) -> Result<(), Unsound> {
    let refused = |name: &&HeaderName| judge(name.as_str().as_bytes()) == Verdict::Refused;
    match trailers.keys().find(refused) {
        Some(name) => Err(Unsound::Misplaced(name.clone())),
        None if !fields::are_sound(trailers) => Err(Unsound::Malformed),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_request_is_refused_and_who_it_is_from_taken_away() {
        for name in ["Content-Length", "transfer_encoding", "COOKIE", "If-Match"] {
            assert_eq!(judge(name.as_bytes()), Verdict::Refused, "{name}");
        }
        for name in [
            "Forwarded",
            "via",
            "X-Forwarded-For",
            "x_forwarded_proto",
            "X-Forwarded-Port",
            "client.cert",
            "Client-Cert-Chain",
            "X-Client-Cert-Verify",
            "X_Real_IP",
            "x-request-id",
        ] {
            assert_eq!(judge(name.as_bytes()), Verdict::TakenAway, "{name}");
        }
        for name in [
            "x-sum",
            "grpc-status",
            "content-lengths",
            "x-forwarded",
            "x",
        ] {
            assert_eq!(judge(name.as_bytes()), Verdict::Passes, "{name}");
        }
    }
}
