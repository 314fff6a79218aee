//! The head of a response as it comes (RFC 9112 sections 4 to 6, and 9.3).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use httparse::{ParserConfig, Status};

use super::fault::Fault;
use super::known;

/// Most bytes of a head, and most fields.
pub(super) const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 100;

/// The head of a response.
#[derive(Debug)]
pub(in crate::http::proxy) struct Head {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// The connection may serve another request.
    pub(super) persistent: bool,
}

/// How a response's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// Where the head ends that `bytes` begin with. Of them, `seen` were looked at before.
pub(super) fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(2);
    memchr::memchr_iter(b'\n', &bytes[from..])
        .map(|at| from + at + 1)
        .find_map(|next| match bytes[next..] {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        })
}

/// Reads `head`, the answer to a request with `method`.
pub(super) fn parse(head: &Bytes, method: &Method) -> Result<Head, Fault> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut fields)
        .map_err(|error| match error {
            httparse::Error::TooManyHeaders => Fault::HeadTooLarge,
            _ => Fault::Head,
        })?;
    let (Status::Complete(_), Some(code), Some(minor)) = (outcome, parsed.code, parsed.version)
    else {
        return Err(Fault::Head);
    };
    let status = StatusCode::from_u16(code).map_err(|_| Fault::Head)?;
    let version = match minor {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let headers = collect(head, parsed.headers)?;
    // What an interim response says of a body is of no concern: it has none.
    let body = match status.is_informational() {
        true => Body::Length(0),
        false => body(&headers, version, status, method)?,
    };
    Ok(Head {
        persistent: body != Body::Close && is_persistent(&headers, version),
        status,
        version,
        headers,
        body,
    })
}

fn collect(head: &Bytes, fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Fault> {
    // Some are added before it goes to the client.
    let mut headers = HeaderMap::with_capacity(fields.len() + 4);
    for field in fields {
        let name = known::name(field.name.as_bytes()).map_err(|_| Fault::Head)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        headers.append(name, value.map_err(|_| Fault::Head)?);
    }
    Ok(headers)
}

/// RFC 9112 section 6.3, without what two readers may take differently.
fn body(
    headers: &HeaderMap,
    version: Version,
    status: StatusCode,
    method: &Method,
) -> Result<Body, Fault> {
    let announced = announced(headers, version)?;
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match announced {
        _ if bodiless || method == Method::HEAD => Body::Length(0),
        Some(body) => body,
        None => Body::Close,
    })
}

fn announced(headers: &HeaderMap, version: Version) -> Result<Option<Body>, Fault> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(None),
        (None, Some(length)) if lengths.next().is_none() => {
            content_length(length.as_bytes()).map(|length| Some(Body::Length(length)))
        }
        (Some(coding), None)
            if codings.next().is_none()
                && version == Version::HTTP_11
                && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(Some(Body::Chunked))
        }
        _ => Err(Fault::Framing),
    }
}

/// Digits alone, without a leading zero, and no more than a signed number holds: read alike by everybody.
fn content_length(value: &[u8]) -> Result<u64, Fault> {
    let zeros = value.len() > 1 && value[0] == b'0';
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if zeros || !digits || value.len() > 18 {
        return Err(Fault::Framing);
    }
    let sum = |length: u64, digit: &u8| length * 10 + u64::from(digit - b'0');
    Ok(value.iter().fold(0, sum))
}

fn is_persistent(headers: &HeaderMap, version: Version) -> bool {
    let lists = |wanted: &[u8]| {
        headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    !lists(b"close") && (version == Version::HTTP_11 || lists(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &'static str) -> Result<Head, Fault> {
        parse(&Bytes::from_static(head.as_bytes()), &Method::GET)
    }

    fn body_of(fields: &str) -> Result<Body, Fault> {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        parse(&head.into(), &Method::GET).map(|head| head.body)
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_comes() {
        for (head, ends) in [
            ("HTTP/1.1 200\r\n\r\nx", Some(16)),
            ("HTTP/1.1 200\n\nx", Some(14)),
            ("HTTP/1.1 200\r\na: b\r\n\r", None),
            ("HTTP/1.1 200\r\na: b\r\n", None),
        ] {
            for seen in 0..=head.len().min(ends.unwrap_or(usize::MAX) - 1) {
                assert_eq!(end(head.as_bytes(), seen), ends, "{head:?} {seen}");
            }
        }
    }

    #[test]
    fn a_body_has_one_end_only() {
        for (fields, body) in [
            ("", Ok(Body::Close)),
            ("Content-Length: 12\r\n", Ok(Body::Length(12))),
            ("Transfer-Encoding: Chunked\r\n", Ok(Body::Chunked)),
            ("Content-Length: 012\r\n", Err(Fault::Framing)),
            ("Content-Length: +1\r\n", Err(Fault::Framing)),
            ("Content-Length: 1, 1\r\n", Err(Fault::Framing)),
            (
                "Content-Length: 1\r\nContent-Length: 1\r\n",
                Err(Fault::Framing),
            ),
            (
                "Content-Length: 9999999999999999999\r\n",
                Err(Fault::Framing),
            ),
            ("Content-Length: \r\n", Err(Fault::Framing)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(Fault::Framing)),
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                Err(Fault::Framing),
            ),
            ("Content-Length : 1\r\n", Err(Fault::Head)),
            ("A: b\r\n c\r\n", Err(Fault::Head)),
            ("A: b\0\r\n", Err(Fault::Head)),
        ] {
            assert_eq!(body_of(fields), body, "{fields:?}");
        }
        let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read(old).unwrap_err(), Fault::Framing);
        let head = "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read(head).unwrap().body, Body::Length(0));
    }

    #[test]
    fn who_stays_connected() {
        for (head, stays) in [
            ("HTTP/1.1 204 A\r\n\r\n", true),
            ("HTTP/1.1 204 A\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.1 200 A\r\n\r\n", false),
            ("HTTP/1.0 204 A\r\n\r\n", false),
            ("HTTP/1.0 204 A\r\nConnection: keep-alive\r\n\r\n", true),
            (
                "HTTP/1.0 204 A\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(read(head).unwrap().persistent, stays, "{head:?}");
        }
    }

    #[test]
    fn what_is_no_response() {
        for head in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert_eq!(read(head).unwrap_err(), Fault::Head, "{head:?}");
        }
        let many = "a: b\r\n".repeat(MAX_FIELDS + 1);
        assert_eq!(body_of(&many).unwrap_err(), Fault::HeadTooLarge);
    }
}
