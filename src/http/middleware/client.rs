//! Who is behind a trusted proxy: `X-Forwarded-For` and `X-Forwarded-Proto`, or `Forwarded` (RFC 7239), each read from
//! the right, as far as those who wrote it are trusted.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use super::networks::Networks;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a trusted proxy says of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The nearest address that is not trusted, else the farthest that is known.
    pub(super) client: IpAddr,
    /// Whether the client speaks TLS. None when nothing is said of that.
    pub(super) secure: Option<bool>,
    /// It is in `Forwarded`.
    pub(super) by_forwarded: bool,
}

/// What the headers of a request say that came by the trusted `proxy`. `X-Forwarded-For` counts before `Forwarded`.
pub(super) fn believe(headers: &HeaderMap, proxy: IpAddr, trusted: &Networks) -> Claim {
    if headers.contains_key(X_FORWARDED_FOR) || !headers.contains_key(FORWARDED) {
        let mut claim = Claim {
            client: proxy,
            secure: last(headers, X_FORWARDED_PROTO).and_then(scheme),
            by_forwarded: false,
        };
        let entries = from_the_right(headers, X_FORWARDED_FOR);
        walk(entries.map(address), trusted, |client| {
            claim.client = client
        });
        return claim;
    }
    let mut claim = Claim {
        client: proxy,
        secure: None,
        by_forwarded: true,
    };
    let elements = from_the_right(headers, FORWARDED).map(|element| {
        let client = parameter(element, b"for").and_then(address);
        client.map(|client| (client, parameter(element, b"proto").and_then(scheme)))
    });
    for (client, secure) in elements.map_while(|element| element) {
        (claim.client, claim.secure) = (client, secure);
        if !trusted.contain(client) {
            break;
        }
    }
    claim
}

/// Shows each address up to the first that is not trusted, or that is none.
fn walk(
    addresses: impl Iterator<Item = Option<IpAddr>>,
    trusted: &Networks,
    mut see: impl FnMut(IpAddr),
) {
    for address in addresses.map_while(|address| address) {
        see(address);
        if !trusted.contain(address) {
            return;
        }
    }
}

/// The members of a list that may stand in several lines, the last first.
fn from_the_right(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter().rev();
    let members = lines.flat_map(|line| split_from_the_right(line.as_bytes(), b','));
    members.filter(|member| !member.is_empty())
}

fn last(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    from_the_right(headers, name).next()
}

/// Splits at each `separator` that is not within quotes as they look from the right: what a client wrote at the left
/// cannot change what the proxy wrote after it.
fn split_from_the_right(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    text.rsplit(move |&byte| {
        quoted ^= byte == b'"';
        byte == separator && !quoted
    })
    .map(<[u8]>::trim_ascii)
}

/// The value of `name=value` or `name="value"` in an element of `Forwarded`.
fn parameter<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = split_from_the_right(element, b';').find_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (&pair[..equals], &pair[equals + 1..]);
        key.eq_ignore_ascii_case(name).then_some(value)
    })?;
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    Some(bare.unwrap_or(value))
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let plain = bare.unwrap_or(text).parse::<IpAddr>();
    let address = plain.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn scheme(text: &[u8]) -> Option<bool> {
    let is = |scheme: &str| text.eq_ignore_ascii_case(scheme.as_bytes());
    match (is("https") || is("wss"), is("http") || is("ws")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Network;

    fn claim(headers: &[(&'static str, &'static str)]) -> (String, Option<bool>) {
        let network = |(address, prefix): (&str, u8)| Network {
            address: address.parse().unwrap(),
            prefix,
        };
        let trusted = Networks::new(&[("10.0.0.0", 8), ("2001:db8::", 32)].map(network));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let claim = believe(&map, "10.0.0.1".parse().unwrap(), &trusted);
        (claim.client.to_string(), claim.secure)
    }

    fn by_list(list: &'static str) -> String {
        claim(&[("x-forwarded-for", list)]).0
    }

    #[test]
    fn the_nearest_address_that_is_not_trusted() {
        for (list, client) in [
            ("192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("6.6.6.6,192.0.2.1:4711", "192.0.2.1"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
            ("6.6.6.6, _hidden", "10.0.0.1"),
            ("192.0.2.1, , ", "192.0.2.1"),
            ("[2001:db9::1]:80, 2001:db8::1", "2001:db9::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("", "10.0.0.1"),
            ("192.0.2.1 6.6.6.6", "10.0.0.1"),
        ] {
            assert_eq!(by_list(list), client, "{list}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_at_the_left_changes_nothing(left in "[ -~]{0,80}") {
            for (name, right) in [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1;proto=https")] {
                let mut map = HeaderMap::new();
                map.append(name, format!("{left}, {right}, {}", right.replace("192.0.2.1", "10.0.0.2")).parse().unwrap());
                let trusted = Networks::new(&[Network { address: "10.0.0.0".parse().unwrap(), prefix: 8 }]);
                let claim = believe(&map, "10.0.0.1".parse().unwrap(), &trusted);
                proptest::prop_assert_eq!(claim.client.to_string(), "192.0.2.1");
            }
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(claim(&lines).0, "192.0.2.1");
        assert_eq!(claim(&[]), ("10.0.0.1".into(), None));
    }

    #[test]
    fn the_scheme_as_the_last_proxy_has_it() {
        let secure = |value: &'static str| claim(&[("x-forwarded-proto", value)]).1;
        assert_eq!(secure("HTTPS"), Some(true));
        assert_eq!(secure("https, http"), Some(false));
        assert_eq!(secure("gopher"), None);
    }

    #[test]
    fn forwarded_counts_without_the_other() {
        let by = |value: &'static str| claim(&[("forwarded", value)]);
        assert_eq!(
            by("for=6.6.6.6, for=192.0.2.1;proto=https;by=10.0.0.2"),
            ("192.0.2.1".into(), Some(true))
        );
        assert_eq!(
            by("For=\"[2001:db9::1]:4711\";Proto=http, for=10.0.0.2;proto=https"),
            ("2001:db9::1".into(), Some(false))
        );
        assert_eq!(by("for=unknown"), ("10.0.0.1".into(), None));
        assert_eq!(by("proto=https"), ("10.0.0.1".into(), None));
        // A quote that a client left open swallows nothing of what the proxy adds.
        assert_eq!(
            by("for=\"6.6.6.6, for=192.0.2.1"),
            ("192.0.2.1".into(), None)
        );
        let both = [
            ("forwarded", "for=6.6.6.6"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        assert_eq!(claim(&both).0, "192.0.2.1");
    }
}
