//! What a proxy changes in the heads of requests and responses: RFC 9110 section 7.6, RFC 7239.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, EXPECT, FORWARDED, HOST, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use crate::config::types::ProxyHeaders;
use crate::http::client_certificate;
use crate::http::service::Connection;
use crate::http::site;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields that concern one connection only, beside those that `Connection` lists.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
];

/// Whether a field may come after the body of a request (RFC 9110 section 6.5.1): not what frames, routes or
/// authenticates, nor what says how to read the body.
pub(super) fn may_trail(name: &HeaderName) -> bool {
    const NEVER: [HeaderName; 13] = [
        AUTHORIZATION,
        CACHE_CONTROL,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        HOST,
        MAX_FORWARDS,
        SET_COOKIE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
    ];
    !NEVER.contains(name) && !HOP_BY_HOP.contains(name)
}

/// Takes away what is meant for the next hop alone.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // Framing and routing are ours, whatever a peer lists.
        .filter(|name| name != CONTENT_LENGTH && name != HOST)
        .collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Makes a client's request headers those for an upstream, but for `Host`, which depends on the server.
pub(super) fn rewrite_request(
    headers: &mut HeaderMap,
    version: Version,
    host: &str,
    connection: &Connection,
    rules: &ProxyHeaders,
) {
    let wants_trailers = headers
        .get_all(TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    strip_hop_by_hop(headers);
    headers.remove(PROXY_AUTHORIZATION);
    // Asked of the upstream anew; hyper tells the client when the body is read.
    headers.remove(EXPECT);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    join_cookies(headers);
    add_via(headers, version);
    tell_of_client(headers, host, connection, rules);
    if rules.guard_client_certificates {
        client_certificate::remove(headers);
    }
    if let Some(entrance) = &connection.entrance {
        client_certificate::tell(headers, &entrance.client);
    }
    for name in &rules.remove {
        headers.remove(name.as_str());
    }
    for (name, value) in site::parse_headers(&rules.add) {
        headers.insert(name, value);
    }
}

/// HTTP/2 may split cookies; HTTP/1.1 wants them in one line (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

fn add_via(headers: &mut HeaderMap, version: Version) {
    headers.append(
        VIA,
        HeaderValue::from_static(match version {
            Version::HTTP_2 => "2 bws",
            Version::HTTP_10 => "1.0 bws",
            _ => "1.1 bws",
        }),
    );
}

/// Says who the client is. What it says itself of that is not believed, so it is replaced; what a trusted proxy says is
/// continued.
fn tell_of_client(
    headers: &mut HeaderMap,
    host: &str,
    connection: &Connection,
    rules: &ProxyHeaders,
) {
    let proto = if connection.secure { "https" } else { "http" };
    let address = connection.peer.map(|peer| peer.ip().to_canonical());
    let through = connection.visit.as_ref().and_then(|visit| visit.through);
    let earlier = headers.remove(FORWARDED).filter(|_| through.is_some());
    if rules.add_x_forwarded {
        let list = match through.and_then(|proxy| joined(headers, proxy)) {
            Some(list) => Some(list),
            None => address.map(|address| address.to_string()),
        };
        set(headers, X_FORWARDED_FOR, list);
        if through.is_none() || !headers.contains_key(X_FORWARDED_HOST) {
            let host = Some(host.to_owned()).filter(|host| !host.is_empty());
            set(headers, X_FORWARDED_HOST, host);
        }
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    }
    if rules.add_forwarded {
        let named = match host {
            "" => String::new(),
            host => format!(";host=\"{host}\""),
        };
        let first = match earlier.as_ref().and_then(|value| value.to_str().ok()) {
            Some(earlier) => earlier.to_owned(),
            None => format!("for={};proto={proto}{named}", node(address)),
        };
        let last = through.map_or_else(String::new, |proxy| format!(", for={}", node(Some(proxy))));
        set(headers, FORWARDED, Some(first + &last));
    }
}

/// The list that a trusted proxy sent, with itself at its end.
fn joined(headers: &HeaderMap, proxy: IpAddr) -> Option<String> {
    let lines: Option<Vec<&str>> = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .map(|line| line.to_str().ok().map(str::trim))
        .collect();
    let list = lines?.join(", ");
    (!list.is_empty()).then(|| format!("{list}, {proxy}"))
}

/// RFC 7239 section 6.
fn node(address: Option<IpAddr>) -> String {
    match address {
        Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "unknown".to_owned(),
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    match value.and_then(|value| HeaderValue::try_from(value).ok()) {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

/// Whether an upstream's framing is ambiguous, or of a kind that we cannot undo.
pub(super) fn is_misframed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some();
    };
    codings.next().is_some()
        || headers.contains_key(CONTENT_LENGTH)
        || !coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

/// Makes an upstream's response headers those for the client.
pub(super) fn rewrite_response(headers: &mut HeaderMap, version: Version) {
    strip_hop_by_hop(headers);
    add_via(headers, version);
    // Two of them would contradict each other.
    if headers.get_all(http::header::DATE).iter().nth(1).is_some() {
        headers.remove(http::header::DATE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    fn rules() -> ProxyHeaders {
        ProxyHeaders {
            preserve_host: true,
            add_forwarded: true,
            add_x_forwarded: true,
            guard_client_certificates: true,
            remove: vec!["x-secret".into()],
            add: vec![crate::config::types::Header {
                name: "x-added".into(),
                value: "1".into(),
            }],
        }
    }

    fn rewritten(headers: &[(&'static str, &'static str)], rules: &ProxyHeaders) -> HeaderMap {
        let mut headers = map(headers);
        let peer = "[::ffff:192.0.2.1]:1".parse().ok();
        let connection = Connection::new(0, peer, true);
        rewrite_request(
            &mut headers,
            Version::HTTP_11,
            "a.example:8443",
            &connection,
            rules,
        );
        headers
    }

    #[test]
    fn hop_by_hop_fields_end_here() {
        let headers = rewritten(
            &[
                ("connection", "close, X-Hop"),
                ("connection", "content-length"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-authorization", "x"),
                ("upgrade", "websocket"),
                ("te", "gzip;q=0.5, trailers"),
                ("transfer-encoding", "chunked"),
                ("trailer", "x-sum"),
                ("content-length", "3"),
                ("x-kept", "1"),
            ],
            &ProxyHeaders {
                add_forwarded: false,
                add_x_forwarded: false,
                ..rules()
            },
        );
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "connection",
                "content-length",
                "te",
                "trailer",
                "via",
                "x-added",
                "x-kept"
            ]
        );
        assert_eq!(
            (&headers[CONNECTION], &headers[TE]),
            (&"te".parse().unwrap(), &"trailers".parse().unwrap())
        );
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let forged = [
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-secret", "1"),
        ];
        let headers = rewritten(&forged, &rules());
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "a.example:8443");
        assert_eq!(
            headers["forwarded"],
            "for=192.0.2.1;proto=https;host=\"a.example:8443\""
        );
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        assert!(!headers.contains_key("x-secret"));
        assert_eq!(headers["x-added"], "1");
    }

    #[test]
    fn the_word_of_a_trusted_proxy_is_continued() {
        let mut headers = map(&[
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-host", "shop.example"),
            ("forwarded", "for=192.0.2.1;proto=https"),
        ]);
        let mut connection = Connection::new(0, "192.0.2.1:0".parse().ok(), true);
        connection.visit = Some(std::rc::Rc::new(crate::http::service::Visit {
            through: "10.0.0.1".parse().ok(),
            ..Default::default()
        }));
        rewrite_request(
            &mut headers,
            Version::HTTP_11,
            "a.example",
            &connection,
            &rules(),
        );
        for (name, value) in [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.2, 10.0.0.1"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=192.0.2.1;proto=https, for=10.0.0.1"),
        ] {
            assert_eq!(
                headers.get_all(name).iter().collect::<Vec<_>>(),
                [value],
                "{name}"
            );
        }
        let mut headers = HeaderMap::new();
        rewrite_request(
            &mut headers,
            Version::HTTP_11,
            "a.example",
            &connection,
            &rules(),
        );
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
    }

    #[test]
    fn cookie_crumbs_become_one_line() {
        let headers = rewritten(&[("cookie", "a=1"), ("cookie", "b=2")], &rules());
        assert_eq!(
            headers.get_all(COOKIE).iter().collect::<Vec<_>>(),
            ["a=1; b=2"]
        );
    }

    #[test]
    fn ambiguous_responses_are_seen() {
        assert!(is_misframed(&map(&[
            ("transfer-encoding", "chunked"),
            ("content-length", "1")
        ])));
        assert!(is_misframed(&map(&[(
            "transfer-encoding",
            "gzip, chunked"
        )])));
        assert!(is_misframed(&map(&[
            ("content-length", "1"),
            ("content-length", "1")
        ])));
        assert!(!is_misframed(&map(&[("transfer-encoding", "chunked")])));
        assert!(!is_misframed(&map(&[])));
    }
}
