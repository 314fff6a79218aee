//! Who the client is: `X-Forwarded-For`, `-Proto` and `-Host`, and `Forwarded` (RFC 7239). What a client says itself of
//! that is not believed, so it is replaced; what a trusted proxy says is continued.

use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::Rules;
use crate::http::service::Connection;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Tells the upstream what `rules` want it to know. `host` is what the client named.
pub(super) fn tell_of_client(
    headers: &mut HeaderMap,
    host: Option<&HeaderValue>,
    connection: &Connection,
    rules: &Rules,
) {
    let through = connection.visit.as_ref().and_then(|visit| visit.through);
    let earlier = headers.remove(FORWARDED).filter(|_| through.is_some());
    if rules.add_x_forwarded {
        add_x_forwarded(headers, host, connection, through);
    }
    if rules.add_forwarded {
        let first = match earlier.as_ref().and_then(|value| value.to_str().ok()) {
            Some(earlier) => earlier.to_owned(),
            None => element(host, connection),
        };
        let last = through.map_or_else(String::new, |proxy| format!(", for={}", node(Some(proxy))));
        set(
            headers,
            FORWARDED,
            HeaderValue::try_from(first + &last).ok(),
        );
    }
}

fn add_x_forwarded(
    headers: &mut HeaderMap,
    host: Option<&HeaderValue>,
    connection: &Connection,
    through: Option<IpAddr>,
) {
    let list = through.and_then(|proxy| joined(headers, proxy));
    let list = list.or_else(|| connection.written_address());
    set(headers, X_FORWARDED_FOR, list);
    if through.is_none() || !headers.contains_key(X_FORWARDED_HOST) {
        set(headers, X_FORWARDED_HOST, host.cloned());
    }
    let proto = if connection.secure { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
}

/// The list that a trusted proxy sent, with itself at its end.
fn joined(headers: &HeaderMap, proxy: IpAddr) -> Option<HeaderValue> {
    let lines: Option<Vec<&str>> = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .map(|line| line.to_str().ok().map(str::trim))
        .collect();
    let list = lines?.join(", ");
    let all = (!list.is_empty()).then(|| format!("{list}, {proxy}"));
    HeaderValue::try_from(all?).ok()
}

/// What `Forwarded` says of the client (RFC 7239 section 4).
fn element(host: Option<&HeaderValue>, connection: &Connection) -> String {
    let proto = if connection.secure { "https" } else { "http" };
    let address = connection.peer.map(|peer| peer.ip().to_canonical());
    let named = match host.and_then(|host| host.to_str().ok()) {
        Some(host) => format!(";host=\"{host}\""),
        None => String::new(),
    };
    format!("for={};proto={proto}{named}", node(address))
}

/// RFC 7239 section 6.
fn node(address: Option<IpAddr>) -> String {
    match address {
        Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "unknown".to_owned(),
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::headers::testing::rules;
    use super::*;

    fn told(lines: &[(&'static str, &str)], through: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let mut connection = Connection::new(0, "[::ffff:192.0.2.1]:1".parse().ok(), true);
        connection.visit = Some(std::rc::Rc::new(crate::http::service::Visit {
            through: through.map(|proxy| proxy.parse().unwrap()),
            ..Default::default()
        }));
        let host = HeaderValue::from_static("a.example:8443");
        tell_of_client(&mut headers, Some(&host), &connection, &rules());
        headers
    }

    fn assert_told(headers: &HeaderMap, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            let values: Vec<_> = headers.get_all(*name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let forged = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "elsewhere.example"),
            ("forwarded", "for=10.0.0.1"),
        ];
        let expected = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "a.example:8443"),
            (
                "forwarded",
                "for=192.0.2.1;proto=https;host=\"a.example:8443\"",
            ),
        ];
        assert_told(&told(&forged, None), &expected);
    }

    #[test]
    fn the_word_of_a_trusted_proxy_is_continued() {
        let said = [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-host", "shop.example"),
            ("forwarded", "for=192.0.2.1;proto=https"),
        ];
        let expected = [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.2, 10.0.0.1"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=192.0.2.1;proto=https, for=10.0.0.1"),
        ];
        assert_told(&told(&said, Some("10.0.0.1")), &expected);
        let nothing = told(&[], Some("10.0.0.1"));
        assert_told(&nothing, &[("x-forwarded-for", "192.0.2.1")]);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("10.0.0.1"));
        let connection = Connection::new(0, None, false);
        tell_of_client(&mut headers, None, &connection, &rules());
        assert!(!headers.contains_key(X_FORWARDED_FOR));
        assert!(!headers.contains_key(X_FORWARDED_HOST));
        assert_told(&headers, &[("forwarded", "for=unknown;proto=http")]);
    }
}
