//! Conditional requests: RFC 9110 section 13, evaluated in the order of section 13.2.2.

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What a representation is told apart by.
#[derive(Clone, Copy)]
pub(super) struct Validators<'a> {
    /// A strong one; None when the site does not send it.
    pub(super) etag: Option<&'a HeaderValue>,
    /// It was sent as a weak one.
    pub(super) weak: bool,
    /// As `Last-Modified` tells it, and in seconds since the epoch; None when the site does not send it.
    pub(super) modified: Option<(&'a HeaderValue, i64)>,
}

impl Validators<'_> {
    /// Those of the same content in a coding that is made on the way.
    pub(super) fn weakened(self) -> Self {
        Self { weak: true, ..self }
    }

    /// Whether it is newer than `date`; None when nobody knows.
    fn is_newer(&self, date: Option<i64>) -> Option<bool> {
        Some(self.modified?.1 > date?)
    }
}

/// What the conditions of a GET or HEAD request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    /// 304
    NotModified,
    /// 412
    Failed,
}

pub(super) fn evaluate(request: &HeaderMap, file: &Validators<'_>) -> Verdict {
    if request.contains_key(IF_MATCH) {
        if !lists(request, IF_MATCH, file, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if file.is_newer(date(request, IF_UNMODIFIED_SINCE)) == Some(true) {
        return Verdict::Failed;
    }
    let unmodified = if request.contains_key(IF_NONE_MATCH) {
        lists(request, IF_NONE_MATCH, file, Comparison::Weak)
    } else {
        file.is_newer(date(request, IF_MODIFIED_SINCE)) == Some(false)
    };
    if unmodified {
        Verdict::NotModified
    } else {
        Verdict::Proceed
    }
}

/// Whether a `Range` still means this state of the file (RFC 9110 section 13.1.5).
pub(super) fn range_applies(request: &HeaderMap, file: &Validators<'_>) -> bool {
    let Some(condition) = request.get(IF_RANGE) else {
        return true;
    };
    // A date is no strong validator here, as a file may change twice in a second; it must then be long past.
    let is_date = |(date, modified)| condition == date && is_long_past(modified);
    (Some(condition) == file.etag && !file.weak) || file.modified.is_some_and(is_date)
}

/// A file's second is over when a minute lies between (RFC 9110 section 8.8.2.2).
fn is_long_past(modified: i64) -> bool {
    let now = std::time::SystemTime::now();
    seconds(now).is_some_and(|now| now - modified >= 60)
}

/// The seconds of a date; None when it is missing, repeated or malformed, and then ignored.
fn date(request: &HeaderMap, name: HeaderName) -> Option<i64> {
    let mut values = request.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    seconds(httpdate::parse_http_date(value.to_str().ok()?).ok()?)
}

fn seconds(time: std::time::SystemTime) -> Option<i64> {
    let since_epoch = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_secs()).ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Weak,
    Strong,
}

fn lists(
    request: &HeaderMap,
    name: HeaderName,
    file: &Validators<'_>,
    comparison: Comparison,
) -> bool {
    // A weak tag is equal to no other when they are compared strongly, and `*` means any state at all.
    let known = !(file.weak && comparison == Comparison::Strong);
    let tag = file
        .etag
        .filter(|_| known)
        .map_or(&b""[..], HeaderValue::as_bytes);
    request
        .get_all(name)
        .iter()
        .any(|value| list_contains(value, tag, comparison))
}

fn list_contains(list: &HeaderValue, tag: &[u8], comparison: Comparison) -> bool {
    let mut rest = list.as_bytes();
    if rest.trim_ascii() == b"*" {
        return true;
    }
    loop {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        let (weak, quoted) = match rest {
            [b'W', b'/', after @ ..] => (true, after),
            _ => (false, rest),
        };
        let Some(length) = quoted
            .strip_prefix(b"\"")
            .and_then(|text| memchr::memchr(b'"', text))
        else {
            return false;
        };
        let (one, after) = quoted.split_at(length + 2);
        if one == tag && !(weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(list: &str, comparison: Comparison) -> bool {
        list_contains(&HeaderValue::from_str(list).unwrap(), b"\"a\"", comparison)
    }

    #[test]
    fn tags_compare_weakly_or_strongly() {
        assert!(contains("\"a\"", Comparison::Strong));
        assert!(contains("W/\"a\"", Comparison::Weak));
        assert!(!contains("W/\"a\"", Comparison::Strong));
        assert!(contains(" \"x\" , W/\"b,\"\t,\"a\"", Comparison::Weak));
        assert!(contains(" * ", Comparison::Strong));
        for list in ["", "a", "\"a", "\"b\"", "w/\"a\"", "\"x\" a", ",,"] {
            assert!(!contains(list, Comparison::Weak), "{list}");
        }
    }
}
