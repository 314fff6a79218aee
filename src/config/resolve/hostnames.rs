//! Host names as patterns: `www.example.com`, `*.example.com`, `_`, addresses.

use std::net::{IpAddr, Ipv6Addr};

use super::super::types::HostPattern;

/// What is wrong with a name, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) &'static str, pub(super) &'static str);

/// Reads what `hostname` says.
pub(super) fn pattern(text: &str) -> Result<HostPattern, Invalid> {
    if text == "_" {
        return Ok(HostPattern::Any);
    }
    if let Some(address) = address(text) {
        return Ok(HostPattern::Exact(address));
    }
    let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if let Some(parent) = lower.strip_prefix("*.") {
        check(parent)?;
        return Ok(HostPattern::Wildcard(parent.to_owned()));
    }
    check(&lower)?;
    Ok(HostPattern::Exact(lower))
}

/// How a pattern is written.
pub(super) fn show(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(parent) => format!("*.{parent}"),
        HostPattern::Any => "_".to_owned(),
    }
}

/// An IP address in its canonical form, IPv6 in brackets as in a `Host` header.
fn address(text: &str) -> Option<String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(inner) = bare {
        return Some(format!("[{}]", inner.parse::<Ipv6Addr>().ok()?));
    }
    match text.parse().ok()? {
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => Some(format!("[{address}]")),
    }
}

/// RFC 1123 section 2.1, and underscores, which are in use.
pub(super) fn check(name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid("is empty", "write a name, or \"_\" for any host"));
    }
    if !name.is_ascii() {
        return Err(Invalid(
            "is not ASCII",
            "write the name in punycode (xn--…), as browsers send it",
        ));
    }
    if name.contains('*') {
        return Err(Invalid(
            "has a '*' that is not the whole first label",
            "write \"*.example.com\", or \"_\" for any host",
        ));
    }
    if name.contains("://") || name.contains('/') {
        return Err(Invalid(
            "is a URL",
            "write the host alone, as \"www.example.com\"",
        ));
    }
    if name.contains(':') {
        return Err(Invalid("has a port", "write the port as 'port = …'"));
    }
    if name.len() > 253 || name.split('.').any(|label| label.len() > 63) {
        return Err(Invalid(
            "is too long",
            "a name has at most 253 characters, each label at most 63",
        ));
    }
    if !name.split('.').all(is_label) {
        return Err(Invalid(
            "is not a host name",
            "use letters, digits and hyphens, with dots between them",
        ));
    }
    Ok(())
}

fn is_label(label: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_requests_are_looked_up() {
        let exact = |name: &str| Ok(HostPattern::Exact(name.to_owned()));
        assert_eq!(pattern("WWW.Example.COM."), exact("www.example.com"));
        assert_eq!(pattern("localhost"), exact("localhost"));
        assert_eq!(pattern("192.0.2.1"), exact("192.0.2.1"));
        assert_eq!(pattern("2001:DB8:0::1"), exact("[2001:db8::1]"));
        assert_eq!(pattern("[2001:db8::1]"), exact("[2001:db8::1]"));
        assert_eq!(
            pattern("*.Example.com"),
            Ok(HostPattern::Wildcard("example.com".to_owned()))
        );
        assert_eq!(pattern("_"), Ok(HostPattern::Any));
    }

    #[test]
    fn what_no_client_sends_is_refused() {
        let long = "a".repeat(64);
        let bad = [
            "",
            ".",
            "*",
            "a..b",
            "-a.b",
            "a-.b",
            "a b",
            "*.*.a",
            "www.*.com",
            "bücher.de",
            "http://a",
            "a:80",
            "[::1",
            "[::1]:80",
            "a/b",
            long.as_str(),
            "*.",
        ];
        for name in bad {
            assert!(pattern(name).is_err(), "{name}");
        }
    }
}
