//! The head of a request as it is sent (RFC 9112 section 3).

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body::Body as _;

use super::super::upload::Upload;

/// What of a request stands in its head.
pub(in crate::http::proxy) struct Message<'a> {
    pub(in crate::http::proxy) method: &'a Method,
    pub(in crate::http::proxy) target: &'a Uri,
    /// Unless `headers` have one.
    pub(in crate::http::proxy) host: &'a HeaderValue,
    /// Those that frame the message do not count.
    pub(in crate::http::proxy) headers: &'a HeaderMap,
    /// Whether the upstream is to ask for the body.
    pub(in crate::http::proxy) expects: bool,
}

/// How long a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::proxy) enum Extent {
    /// There is none, and nobody would expect one.
    None,
    Length(u64),
    Chunked,
}

impl Extent {
    pub(in crate::http::proxy) fn of(method: &Method, upload: &Upload) -> Self {
        if !upload.is_empty() {
            let exact = upload.size_hint().exact();
            return exact.map_or(Self::Chunked, Self::Length);
        }
        match *method {
            Method::POST | Method::PUT | Method::PATCH => Self::Length(0),
            _ => Self::None,
        }
    }
}

/// Appends the head of a request.
pub(super) fn write_head(head: &mut Vec<u8>, message: &Message<'_>, extent: Extent) {
    let target = message.target.path_and_query();
    let parts = [
        message.method.as_str(),
        " ",
        target.map_or("/", PathAndQuery::as_str),
        " HTTP/1.1\r\n",
    ];
    for part in parts {
        head.extend_from_slice(part.as_bytes());
    }
    if !message.headers.contains_key(HOST) {
        write_field(head, HOST.as_str(), message.host.as_bytes());
    }
    for (name, value) in message.headers {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            write_field(head, name.as_str(), value.as_bytes());
        }
    }
    if message.expects {
        write_field(head, EXPECT.as_str(), b"100-continue");
    }
    match extent {
        Extent::None => {}
        Extent::Length(length) => {
            let length = HeaderValue::from(length);
            write_field(head, CONTENT_LENGTH.as_str(), length.as_bytes());
        }
        Extent::Chunked => write_field(head, TRANSFER_ENCODING.as_str(), b"chunked"),
    }
    head.extend_from_slice(b"\r\n");
}

/// Appends one line.
pub(super) fn write_field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.reserve(name.len() + value.len() + 4);
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headers: &HeaderMap, extent: Extent) -> String {
        let message = Message {
            method: &Method::GET,
            target: &"http://ignored/a?b".parse().unwrap(),
            host: &HeaderValue::from_static("up"),
            headers,
            expects: false,
        };
        let mut head = Vec::new();
        write_head(&mut head, &message, extent);
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn framing_is_ours() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("gzip"));
        let head = "GET /a?b HTTP/1.1\r\nhost: up\r\n";
        assert_eq!(written(&headers, Extent::None), format!("{head}\r\n"));
        assert_eq!(
            written(&headers, Extent::Length(12)),
            format!("{head}content-length: 12\r\n\r\n")
        );
        assert_eq!(
            written(&headers, Extent::Chunked),
            format!("{head}transfer-encoding: chunked\r\n\r\n")
        );
    }

    #[test]
    fn one_host() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("theirs"));
        assert_eq!(
            written(&headers, Extent::None),
            "GET /a?b HTTP/1.1\r\nhost: theirs\r\n\r\n"
        );
    }
}
