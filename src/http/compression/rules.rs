//! What of a site is compressed, and how.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::compressors::Compressors;
use super::encoder::Strength;
use crate::config::types::{self, Algorithm};

/// A server that sends events wants each to arrive at once, whatever the configuration says.
const EVENTS: &str = "text/event-stream";

/// `[sites.compression]` made ready.
pub(in crate::http) struct Compression {
    types: Vec<Kind>,
    min_size: u64,
    pub(in crate::http) algorithms: Vec<Algorithm>,
    pub(in crate::http) strength: Strength,
    /// Those of the thread.
    pub(in crate::http) compressors: Compressors,
}

enum Kind {
    Exactly(String),
    /// `text/` of `text/*`.
    Under(String),
}

impl Compression {
    pub(in crate::http) fn new(rules: &types::Compression, compressors: &Compressors) -> Self {
        let kind = |name: &String| match name.strip_suffix('*') {
            Some(prefix) if prefix.ends_with('/') => Kind::Under(prefix.to_owned()),
            _ => Kind::Exactly(name.clone()),
        };
        Self {
            types: rules.types.iter().map(kind).collect(),
            min_size: rules.min_size,
            algorithms: rules.algorithms.clone(),
            strength: Strength::of_level(rules.level),
            compressors: compressors.clone(),
        }
    }

    /// Whether a body of this head is compressed for those who want it; `length` is None when it is not known.
    pub(in crate::http) fn suits(&self, headers: &HeaderMap, length: Option<u64>) -> bool {
        length.is_none_or(|length| length >= self.min_size && length > 0)
            && !headers.contains_key(CONTENT_ENCODING)
            && !forbids_transformation(headers)
            && headers
                .get(CONTENT_TYPE)
                .is_some_and(|kind| self.lists(kind))
    }

    pub(super) fn lists(&self, kind: &HeaderValue) -> bool {
        let Ok(kind) = kind.to_str() else {
            return false;
        };
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        let begins = |prefix: &str| {
            let start = kind.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let listed = self.types.iter().any(|it| match it {
            Kind::Exactly(name) => is(name),
            Kind::Under(prefix) => begins(prefix),
        });
        listed && !is(EVENTS)
    }
}

/// `Cache-Control: no-transform` (RFC 9111 sections 5.2.1.6 and 5.2.2.6).
pub(super) fn forbids_transformation(headers: &HeaderMap) -> bool {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suits(headers: &[(&'static str, &'static str)], length: Option<u64>) -> bool {
        let rules = types::Compression {
            types: vec!["text/*".into(), "application/json".into()],
            level: 6,
            min_size: 100,
            algorithms: vec![Algorithm::Gzip],
        };
        let map = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        Compression::new(&rules, &Compressors::default()).suits(&map.collect(), length)
    }

    #[test]
    fn what_is_worth_it() {
        let kind = |kind| suits(&[("content-type", kind)], Some(100));
        for good in ["text/html", "Text/CSS; charset=utf-8", "application/json"] {
            assert!(kind(good), "{good}");
        }
        for bad in [
            "image/png",
            "application/jsonp",
            "text",
            "text/event-stream; a=b",
            "",
        ] {
            assert!(!kind(bad), "{bad}");
        }
        let text = ("content-type", "text/plain");
        assert!(suits(&[text], None));
        assert!(!suits(&[text], Some(99)));
        assert!(!suits(&[], None));
        assert!(!suits(&[text, ("content-encoding", "br")], None));
        assert!(!suits(
            &[text, ("cache-control", "public, No-Transform")],
            None
        ));
    }
}
