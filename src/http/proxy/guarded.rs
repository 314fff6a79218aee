//! Fields that nobody but BWS says to an upstream, and what would be read as them there.

use http::{HeaderMap, HeaderName};

use crate::config::types::ProxyHeaders;
use crate::http::spelling::is_alike;
use crate::http::trailers::{Verdict, judge};

/// Fields that BWS sets or believes.
const OURS: [&str; 9] = [
    "client-cert",
    "client-cert-chain",
    "x-client-cert-fingerprint",
    "x-client-cert-subject",
    "x-client-cert-verify",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// The names of one site, its `remove` and `add` among them, prepared by one thread.
pub(super) struct Guarded {
    names: Box<[HeaderName]>,
    /// A bit for each length that a name has: most of what clients send has none of them.
    lengths: u64,
}

impl Guarded {
    pub(super) fn new(headers: &ProxyHeaders) -> Self {
        let removed = headers.remove.iter().map(String::as_str);
        let added = headers.add.iter().map(|header| header.name.as_str());
        let names = OURS.into_iter().chain(removed).chain(added);
        let names: Box<[HeaderName]> = names.filter_map(|name| name.parse().ok()).collect();
        let bits = names.iter().map(|name| bit(name.as_str().len()));
        Self {
            lengths: bits.fold(0, |bits, bit| bits | bit),
            names,
        }
    }

    /// Takes away what is spelt otherwise than a guarded name and read as one.
    pub(super) fn strip_imitations(&self, headers: &mut HeaderMap) {
        let imitates = |name: &&HeaderName| {
            self.find(name)
                .is_some_and(|guarded| guarded != name.as_str())
        };
        let imitations: Vec<HeaderName> = headers.keys().filter(imitates).cloned().collect();
        for name in imitations {
            headers.remove(name);
        }
    }

    /// Leaves of what comes after a body what an upstream may hear.
    pub(super) fn strip_trailers(&self, trailers: &mut HeaderMap) {
        let stays = |name: &HeaderName| {
            judge(name.as_str().as_bytes()) == Verdict::Passes && self.find(name).is_none()
        };
        let away: Vec<HeaderName> = trailers
            .keys()
            .filter(|name| !stays(name))
            .cloned()
            .collect();
        for name in away {
            trailers.remove(name);
        }
    }

    /// The guarded name that `name` is read as.
    fn find(&self, name: &HeaderName) -> Option<&HeaderName> {
        let name = name.as_str().as_bytes();
        if self.lengths & bit(name.len()) == 0 {
            return None;
        }
        let is_read_as = |guarded: &&HeaderName| is_alike(guarded.as_str().as_bytes(), name);
        self.names.iter().find(is_read_as)
    }
}

/// Of a length; all that are very long share one.
fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests {
    use super::super::headers::testing::rules;
    use super::*;

    fn left(names: &[&'static str], strip: impl Fn(&Guarded, &mut HeaderMap)) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(*name, http::HeaderValue::from_static("forged"));
            headers.append(*name, http::HeaderValue::from_static("twice"));
        }
        strip(&rules().guarded, &mut headers);
        let mut left: Vec<String> = headers.keys().map(ToString::to_string).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn other_spellings_of_what_we_say_are_taken_away() {
        let names = [
            "x_forwarded_for",
            "x-forwarded_proto",
            "x.forwarded.host",
            "client_cert",
            "x_client_cert_verify",
            "x_request_id",
            "x_secret",
            "x_added",
            "x_kept",
            // For others to say or to replace.
            "x-forwarded-for",
            "x-forwarded-port",
        ];
        let left = left(&names, Guarded::strip_imitations);
        assert_eq!(left, ["x-forwarded-for", "x-forwarded-port", "x_kept"]);
    }

    #[test]
    fn no_trailer_says_what_we_say() {
        let names = [
            "x-forwarded-for",
            "x_forwarded_port",
            "via",
            "client-cert",
            "authorization",
            "x-secret",
            "x_added",
            "x-sum",
        ];
        assert_eq!(left(&names, Guarded::strip_trailers), ["x-sum"]);
    }
}
