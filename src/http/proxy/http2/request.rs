//! The head of a request as it is sent (RFC 9113 section 8.3.1).

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};

use super::super::headers;
use super::super::http1::{Extent, Message};

/// A request that is made for HTTP/1.1 as HTTP/2 has it.
pub(in crate::http::proxy) fn head(
    message: &Message<'_>,
    extent: Extent,
    scheme: Scheme,
) -> Request<()> {
    let mut headers = message.headers.clone();
    let wants_trailers = headers.get(TE).is_some_and(|value| value == "trailers");
    headers::strip_hop_by_hop(&mut headers);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    headers.remove(CONTENT_LENGTH);
    if let Extent::Length(length) = extent {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if message.expects {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    let named = headers.remove(HOST);
    let host = named.as_ref().unwrap_or(message.host);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Authority::try_from(host.as_bytes())
        .ok()
        .or(Some(Authority::from_static("localhost")));
    let target = message.target.path_and_query().cloned();
    parts.path_and_query = target.or(Some(PathAndQuery::from_static("/")));
    let mut request = Request::new(());
    *request.method_mut() = message.method.clone();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    request
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, Method};

    use super::*;

    fn sent(fields: &[(&'static str, &'static str)], extent: Extent) -> Request<()> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let message = Message {
            method: &Method::GET,
            target: &"/a?b".parse().unwrap(),
            host: &HeaderValue::from_static("up:81"),
            headers: &headers,
            expects: false,
        };
        head(&message, extent, Scheme::HTTP)
    }

    #[test]
    fn what_concerns_one_connection_stays_here() {
        let fields = [
            ("connection", "te, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("upgrade", "x"),
            ("keep-alive", "5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("x-kept", "1"),
        ];
        let request = sent(&fields, Extent::Length(12));
        assert_eq!(request.uri(), "http://up:81/a?b");
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "te", "x-kept"]);
        assert_eq!(request.headers()[CONTENT_LENGTH], "12");
        assert!(sent(&[("te", "gzip")], Extent::None).headers().is_empty());
    }

    #[test]
    fn one_host() {
        let request = sent(&[("host", "theirs")], Extent::None);
        assert_eq!(request.uri(), "http://theirs/a?b");
        assert!(request.headers().is_empty());
    }
}
