//! What a proxy changes in the heads of requests and responses: RFC 9110 section 7.6.

use std::rc::Rc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::forwarded;
use super::guarded::Guarded;
use crate::config::types::ProxyHeaders;
use crate::http::client_certificate;
use crate::http::service::Connection;
use crate::http::site;

/// What the configuration wants of the heads of requests, prepared by one thread.
pub(super) struct Rules {
    pub(super) preserve_host: bool,
    pub(super) add_forwarded: bool,
    pub(super) add_x_forwarded: bool,
    pub(super) guarded: Rc<Guarded>,
    guard_client_certificates: bool,
    remove: Vec<HeaderName>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl Rules {
    pub(super) fn new(headers: &ProxyHeaders) -> Self {
        let names = headers.remove.iter();
        Self {
            preserve_host: headers.preserve_host,
            add_forwarded: headers.add_forwarded,
            add_x_forwarded: headers.add_x_forwarded,
            guarded: Rc::new(Guarded::new(headers)),
            guard_client_certificates: headers.guard_client_certificates,
            remove: names.filter_map(|name| name.parse().ok()).collect(),
            add: site::parse_headers(&headers.add),
        }
    }
}

/// Length of [`HOP_BY_HOP`].
const HOPS: usize = 8;

/// Fields that concern one connection only, beside those that `Connection` lists.
static HOP_BY_HOP: [HeaderName; HOPS] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
];

/// Whether a field concerns one connection only, whatever `Connection` lists.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// Takes away what is meant for the next hop alone.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let mut found = [false; HOPS];
    for name in headers.keys() {
        if let Some(index) = HOP_BY_HOP.iter().position(|it| it == name) {
            found[index] = true;
        }
    }
    if found[0] {
        for name in listed(headers) {
            headers.remove(name);
        }
    }
    for (name, _) in HOP_BY_HOP.iter().zip(found).filter(|(_, found)| *found) {
        headers.remove(name);
    }
}

/// What `Connection` lists.
fn listed(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        // By far the most frequent, and no fields.
        .filter(|option| *option != b"keep-alive" && *option != b"close")
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(may_be_listed)
        .collect()
}

/// Framing and routing are ours, whatever `Connection` says.
pub(super) fn may_be_listed(name: &HeaderName) -> bool {
    name != CONTENT_LENGTH && name != HOST
}

/// Makes a client's request headers those for an upstream, but for `Host`, which depends on the server; `host` is what
/// the client named.
pub(super) fn rewrite_request(
    headers: &mut HeaderMap,
    version: Version,
    host: Option<&HeaderValue>,
    connection: &Connection,
    rules: &Rules,
) {
    let wants_trailers = headers
        .get_all(TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    strip_hop_by_hop(headers);
    headers.remove(PROXY_AUTHORIZATION);
    // Asked of the upstream anew; the client is told when the body is read.
    headers.remove(EXPECT);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    rules.guarded.strip_imitations(headers);
    join_cookies(headers);
    add_via(headers, version);
    forwarded::tell_of_client(headers, host, connection, rules);
    if rules.guard_client_certificates {
        client_certificate::remove(headers);
    }
    if let Some(entrance) = &connection.entrance {
        client_certificate::tell(headers, &entrance.client);
    }
    for name in &rules.remove {
        headers.remove(name);
    }
    for (name, value) in &rules.add {
        headers.insert(name, value.clone());
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

/// Makes an upstream's response headers those for the client; hop-by-hop fields are gone already.
pub(super) fn rewrite_response(headers: &mut HeaderMap, version: Version) {
    add_via(headers, version);
    // Two of them would contradict each other.
    if headers.get_all(http::header::DATE).iter().nth(1).is_some() {
        headers.remove(http::header::DATE);
    }
}

#[cfg(test)]
mod tests {
    use super::testing::rules;
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

    fn rewritten(headers: &[(&'static str, &'static str)], rules: &Rules) -> HeaderMap {
        let mut headers = map(headers);
        let peer = "[::ffff:192.0.2.1]:1".parse().ok();
        let connection = Connection::new(0, peer, true);
        rewrite_request(
            &mut headers,
            Version::HTTP_11,
            Some(&HeaderValue::from_static("a.example:8443")),
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
            &Rules {
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
    fn fields_are_taken_away_and_added_as_configured() {
        let headers = rewritten(&[("x-secret", "1"), ("x-added", "2")], &rules());
        assert!(!headers.contains_key("x-secret"));
        assert_eq!(headers.get_all("x-added").iter().collect::<Vec<_>>(), ["1"]);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
    }

    #[test]
    fn who_spells_it_otherwise_says_nothing_of_the_client() {
        let forged = [
            ("x_forwarded_for", "10.0.0.1"),
            ("x_forwarded_proto", "https"),
            ("x_secret", "1"),
            ("x_kept", "1"),
        ];
        let quiet = Rules {
            add_x_forwarded: false,
            guard_client_certificates: false,
            ..rules()
        };
        for rules in [rules(), quiet] {
            let headers = rewritten(&forged, &rules);
            let spelt = headers.keys().filter(|name| name.as_str().contains('_'));
            assert_eq!(spelt.collect::<Vec<_>>(), ["x_kept"]);
        }
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

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// All that there is.
    pub(in crate::http::proxy) fn rules() -> Rules {
        Rules::new(&ProxyHeaders {
            preserve_host: true,
            add_forwarded: true,
            add_x_forwarded: true,
            guard_client_certificates: true,
            remove: vec!["x-secret".into()],
            add: vec![crate::config::types::Header {
                name: "x-added".into(),
                value: "1".into(),
            }],
        })
    }
}
