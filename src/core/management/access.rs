//! Who may use the management API, and what a browser may do in somebody's name.
//!
//! A browser sends the key as the password of Basic (RFC 7617) by itself once it knows it, whichever page makes it ask.
//! So Basic is good for reading only, for pages of our own, and on a loopback address under a name of this host: orders
//! need the key in a header that no page of others can send.

use base64ct::{Base64, Encoding as _};
use http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN};
use http::{HeaderMap, Method};

use crate::core::chronicle::Side;

/// Who may use a connection.
#[derive(Debug)]
pub(super) enum Access {
    /// The Unix socket: its mode says who.
    Trusted,
    /// A loopback address without a key: programs of this host, but no web page in its browsers.
    Local,
    /// Who knows the key. `loopback`: only from this host.
    Key { key: String, loopback: bool },
}

impl Access {
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Trusted => Side::Socket,
            Self::Local | Self::Key { .. } => Side::Tcp,
        }
    }

    pub(super) fn allows(&self, method: &Method, headers: &HeaderMap) -> bool {
        match self {
            Self::Trusted => true,
            Self::Local => names_this_host(headers) && is_own_page(method, headers),
            Self::Key { key, .. } => match shown(headers) {
                Some(Shown::Key(shown)) => is_same(shown, key),
                Some(Shown::Password(shown)) => {
                    self.takes_passwords(method, headers) && is_same(&shown, key)
                }
                None => false,
            },
        }
    }

    /// Whether a browser may be asked for the key.
    pub(super) fn takes_passwords(&self, method: &Method, headers: &HeaderMap) -> bool {
        let Self::Key { loopback, .. } = self else {
            return false;
        };
        let under_our_name = !loopback || names_this_host(headers);
        method.is_safe() && under_our_name && is_own_page(method, headers)
    }

    /// Whether somebody who would have to show a password asks under a name for which none is taken.
    pub(super) fn is_misnamed(&self, method: &Method, headers: &HeaderMap) -> bool {
        let Self::Key { loopback: true, .. } = self else {
            return false;
        };
        let shows_key = matches!(shown(headers), Some(Shown::Key(_)));
        method.is_safe() && !shows_key && !names_this_host(headers)
    }
}

enum Shown<'a> {
    Key(&'a [u8]),
    /// Of Basic, whoever the user is.
    Password(Vec<u8>),
}

fn shown(headers: &HeaderMap) -> Option<Shown<'_>> {
    if let Some(key) = headers.get("x-api-key") {
        return Some(Shown::Key(key.as_bytes()));
    }
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim();
    match () {
        () if scheme.eq_ignore_ascii_case("bearer") => Some(Shown::Key(credentials.as_bytes())),
        () if scheme.eq_ignore_ascii_case("basic") => {
            let mut pair = Base64::decode_vec(credentials).ok()?;
            let colon = pair.iter().position(|byte| *byte == b':')?;
            Some(Shown::Password(pair.split_off(colon + 1)))
        }
        () => None,
    }
}

/// Takes the same time wherever they differ.
fn is_same(shown: &[u8], key: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(shown, key.as_bytes()).is_ok()
}

fn text(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    let value = headers.get(name);
    value.map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
}

/// A page whose site's name leads to this host (DNS rebinding) asks for that name.
fn names_this_host(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, HOST) else {
        return false;
    };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    // As a resolver takes it that appends no domain.
    let name = name.strip_suffix('.').unwrap_or(name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

/// Browsers say which page it is that asks: in `Origin`, and in `Sec-Fetch-Site` (W3C Fetch Metadata). Programs say
/// nothing. A link from elsewhere may lead to us, but nothing of ours may be part of a page of others.
fn is_own_page(method: &Method, headers: &HeaderMap) -> bool {
    let own_origin = text(headers, ORIGIN).is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let host = text(headers, HOST).unwrap_or_default();
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    });
    let own_site = match text(headers, "sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        Some(_) => {
            let follows_link = text(headers, "sec-fetch-mode") == Some("navigate")
                && text(headers, "sec-fetch-dest") == Some("document");
            follows_link && method.is_safe()
        }
    };
    own_origin && own_site
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn key(loopback: bool) -> Access {
        let key = "secret:1".into();
        Access::Key { key, loopback }
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", Base64::encode_string(pair.as_bytes()))
    }

    #[test]
    fn only_the_key_opens() {
        for method in [Method::GET, Method::POST] {
            let allows = |pairs| key(true).allows(&method, &headers(pairs));
            assert!(allows(&[("x-api-key", "secret:1")]));
            assert!(allows(&[("authorization", "bearer secret:1")]));
            assert!(!allows(&[("authorization", "Basic secret:1")]));
            assert!(!allows(&[("x-api-key", "secret:")]));
            assert!(!allows(&[]));
        }
    }

    #[test]
    fn the_key_is_a_password_for_reading() {
        let right = basic("any:secret:1");
        let allows =
            |method: &Method, access: Access, pair: &str, more: &[(&'static str, &str)]| {
                let mut all = vec![("host", "localhost:7654"), ("authorization", pair)];
                all.extend_from_slice(more);
                access.allows(method, &headers(&all))
            };
        assert!(allows(&Method::GET, key(true), &right, &[]));
        assert!(allows(&Method::HEAD, key(true), &basic(":secret:1"), &[]));
        for wrong in [
            basic("any:secret"),
            basic("secret:1:"),
            basic("secret"),
            "Basic ?".into(),
        ] {
            assert!(!allows(&Method::GET, key(true), &wrong, &[]), "{wrong}");
        }
        assert!(!allows(&Method::POST, key(true), &right, &[]));
        // A wrong key beside it is a wrong key.
        let beside = [("x-api-key", "wrong")];
        assert!(!allows(&Method::GET, key(true), &right, &beside));
    }

    #[test]
    fn a_password_that_a_browser_sends_by_itself_is_no_good_for_pages_of_others() {
        let password = basic("any:secret:1");
        let allows = |access: Access, host: &str, more: &[(&'static str, &str)]| {
            let mut all = vec![("host", host), ("authorization", &*password)];
            all.extend_from_slice(more);
            access.allows(&Method::GET, &headers(&all))
        };
        let (here, site) = ("127.0.0.1:7654", "sec-fetch-site");
        for own in ["same-origin", "none"] {
            assert!(allows(key(true), here, &[(site, own)]));
        }
        for other in ["cross-site", "same-site", "new-one"] {
            assert!(!allows(key(true), here, &[(site, other)]));
        }
        let mode = ("sec-fetch-mode", "navigate");
        let link = [(site, "cross-site"), mode, ("sec-fetch-dest", "document")];
        assert!(allows(key(true), here, &link));
        let frame = [(site, "cross-site"), mode, ("sec-fetch-dest", "iframe")];
        assert!(!allows(key(true), here, &frame));
        assert!(!allows(
            key(true),
            here,
            &[("origin", "https://evil.example")]
        ));
        assert!(!allows(key(true), "rebound.example:7654", &[]));
        assert!(allows(key(false), "bws.example:7654", &[]));
        assert!(allows(key(true), "localhost.:7654", &[]));
        assert!(!allows(key(true), "localhost.evil.example", &[]));
    }

    #[test]
    fn a_name_without_passwords_is_told_from_a_wrong_password() {
        let misnamed = |access: &Access, method: Method, pairs: &[(&'static str, &str)]| {
            access.is_misnamed(&method, &headers(pairs))
        };
        let (this, other) = (("host", "localhost:7654"), ("host", "bws.lan:7654"));
        let password = ("authorization", &*basic("any:secret:1"));
        for pairs in [&[other][..], &[other, password]] {
            assert!(misnamed(&key(true), Method::GET, pairs));
            assert!(!misnamed(&key(false), Method::GET, pairs));
            assert!(!misnamed(&key(true), Method::POST, pairs));
        }
        assert!(!misnamed(&key(true), Method::GET, &[this, password]));
        let wrong = ("x-api-key", "wrong");
        assert!(!misnamed(&key(true), Method::GET, &[other, wrong]));
    }

    #[test]
    fn web_pages_of_others_are_kept_out() {
        let local =
            |pairs: &[(&'static str, &str)]| Access::Local.allows(&Method::POST, &headers(pairs));
        assert!(local(&[("host", "127.0.0.1:7654")]));
        assert!(local(&[("host", "[::1]:7654")]));
        let own = ("origin", "http://localhost:7654");
        assert!(local(&[("host", "localhost:7654"), own]));
        let evil = ("origin", "https://evil.example");
        assert!(!local(&[("host", "127.0.0.1:7654"), evil]));
        assert!(!local(&[("host", "127.0.0.1:7654"), ("origin", "null")]));
        assert!(!local(&[("host", "rebound.evil.example:7654")]));
        let foreign = ("sec-fetch-site", "cross-site");
        assert!(!local(&[("host", "localhost:7654"), foreign]));
    }
}
