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
    if rules.add_x_forwarded {
        add_x_forwarded(headers, host, connection);
    }
    if rules.add_forwarded {
        let list = forwarded(headers, host, connection);
        set(headers, FORWARDED, HeaderValue::try_from(list).ok());
    } else {
        headers.remove(FORWARDED);
    }
}

/// The list that a trusted proxy sent, where it was believed, else what is known of the client; then the proxy.
fn forwarded(headers: &HeaderMap, host: Option<&HeaderValue>, connection: &Connection) -> String {
    let visit = connection.visit.as_deref();
    let believed = visit.filter(|visit| visit.by_forwarded);
    let earlier = believed.and_then(|_| list(headers, FORWARDED).filter(|list| is_closed(list)));
    let client = connection.peer.map(|peer| peer.ip());
    let through = visit.and_then(|visit| visit.through);
    let through = through.filter(|proxy| earlier.is_some() || client != Some(*proxy));
    let first = earlier.unwrap_or_else(|| element(host, connection));
    match through {
        Some(proxy) => format!("{first}, for={}", node(Some(proxy))),
        None => first,
    }
}

/// Whether no quote is left open, which would swallow what comes after it. (Nobody has to escape a character in it.)
fn is_closed(list: &str) -> bool {
    list.matches('"').count() % 2 == 0 && !list.contains('\\')
}

fn add_x_forwarded(headers: &mut HeaderMap, host: Option<&HeaderValue>, connection: &Connection) {
    let believed = connection.visit.as_deref();
    let believed = believed.filter(|visit| !visit.by_forwarded);
    let through = believed.and_then(|visit| visit.through);
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
    let list = list(headers, X_FORWARDED_FOR)?;
    HeaderValue::try_from(format!("{list}, {proxy}")).ok()
}

/// A list, in however many lines it stands (RFC 9110 section 5.3); None when there is nothing in it.
fn list(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines = headers.get_all(name).into_iter();
    let lines: Result<Vec<&str>, _> = lines.map(|line| line.to_str().map(str::trim)).collect();
    let list = lines.ok()?.join(", ");
    (!list.is_empty()).then_some(list)
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

    /// `lines` were believed of the proxy `through` as BWS does that.
    fn told(lines: &[(&'static str, &str)], through: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let mut connection = Connection::new(0, "[::ffff:192.0.2.1]:1".parse().ok(), true);
        connection.visit = Some(std::rc::Rc::new(crate::http::service::Visit {
            through: through.map(|proxy| proxy.parse().unwrap()),
            by_forwarded: through.is_some()
                && headers.contains_key(FORWARDED)
                && !headers.contains_key(X_FORWARDED_FOR),
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
        ];
        let expected = [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.2, 10.0.0.1"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "https"),
        ];
        assert_told(&told(&said, Some("10.0.0.1")), &expected);
        let said = [
            ("forwarded", "for=6.6.6.6"),
            ("forwarded", "for=192.0.2.1;proto=https"),
        ];
        let expected = [(
            "forwarded",
            "for=6.6.6.6, for=192.0.2.1;proto=https, for=10.0.0.1",
        )];
        assert_told(&told(&said, Some("10.0.0.1")), &expected);
        let nothing = told(&[], Some("10.0.0.1"));
        assert_told(&nothing, &[("x-forwarded-for", "192.0.2.1")]);
    }

    #[test]
    fn what_was_not_believed_is_not_continued() {
        let anew = "for=192.0.2.1;proto=https;host=\"a.example:8443\", for=10.0.0.1";
        let beside = [
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=6.6.6.6"),
        ];
        let open = [
            ("forwarded", "for=\"6.6.6.6"),
            ("forwarded", "for=192.0.2.1"),
        ];
        for said in [beside, open] {
            assert_told(&told(&said, Some("10.0.0.1")), &[("forwarded", anew)]);
        }
        let said = [
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-host", "elsewhere.example"),
        ];
        let expected = [("x-forwarded-host", "a.example:8443")];
        assert_told(&told(&said, Some("10.0.0.1")), &expected);
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
