//! The head of a response as it comes (RFC 9112 sections 4 to 6, and 9.3).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use httparse::{ParserConfig, Status};

use super::super::headers;
use super::fault::Fault;
use super::known::{self, Role};
use super::spare;

/// Most bytes of a head, and most fields: `Fault` says these numbers.
pub(super) const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 100;

/// The head of a response.
#[derive(Debug)]
pub(in crate::http::proxy) struct Head {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    /// Without those that concern the connection alone, unless it is a 101.
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// The connection may serve another request.
    pub(super) persistent: bool,
}

impl Head {
    /// Without what only a final response has.
    pub(super) fn into_interim(self) -> Response<()> {
        let mut interim = Response::new(());
        *interim.status_mut() = self.status;
        *interim.version_mut() = self.version;
        *interim.headers_mut() = self.headers;
        interim
    }
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
    let fields = Fields::collect(head, parsed.headers, status)?;
    // What an interim response says of a body is of no concern: it has none.
    let body = match status.is_informational() {
        true => Body::Length(0),
        false => fields.body(version, status, method)?,
    };
    let stays = !fields.closes && (version == Version::HTTP_11 || fields.stays);
    Ok(Head {
        persistent: body != Body::Close && stays,
        status,
        version,
        headers: fields.headers,
        body,
    })
}

/// The fields of a head.
#[derive(Default)]
struct Fields {
    /// Without those that concern this connection alone.
    headers: HeaderMap,
    lengths: usize,
    /// The last of them; None when it is none.
    length: Option<u64>,
    codings: usize,
    /// The last of them is what we can undo.
    chunked: bool,
    closes: bool,
    stays: bool,
    /// What `Connection` lists.
    listed: Vec<HeaderName>,
}

impl Fields {
    /// Of a switch of protocols (101) all are kept.
    fn collect(
        head: &Bytes,
        fields: &[httparse::Header<'_>],
        status: StatusCode,
    ) -> Result<Self, Fault> {
        let all = status == StatusCode::SWITCHING_PROTOCOLS;
        // It says which protocol is wanted (RFC 9110 section 15.5.22).
        let wants = status == StatusCode::UPGRADE_REQUIRED;
        let mut collected = Self {
            // Some are added before it goes to the client.
            headers: spare::headers(fields.len() + 4),
            ..Self::default()
        };
        for field in fields {
            let (name, role) = known::name(field.name.as_bytes()).map_err(|_| Fault::Head)?;
            if collected.note(role, field.value) || all || (wants && name == UPGRADE) {
                let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
                let value = value.map_err(|_| Fault::Head)?;
                collected.headers.append(name, value);
            }
        }
        for name in std::mem::take(&mut collected.listed) {
            if !all && headers::may_be_listed(&name) && !(wants && name == UPGRADE) {
                collected.headers.remove(name);
            }
        }
        if wants && collected.headers.contains_key(UPGRADE) {
            let option = HeaderValue::from_static("upgrade");
            collected.headers.insert(CONNECTION, option);
        }
        Ok(collected)
    }

    /// Whether the field concerns more than this connection.
    fn note(&mut self, role: Role, value: &[u8]) -> bool {
        match role {
            Role::Plain => return true,
            Role::ContentLength => {
                self.lengths += 1;
                self.length = content_length(value);
                return true;
            }
            Role::TransferEncoding => {
                self.codings += 1;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
            }
            Role::Connection => self.note_options(value),
            Role::HopByHop => {}
        }
        false
    }

    fn note_options(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.stays = true;
            } else {
                self.listed.extend(HeaderName::from_bytes(option));
            }
        }
    }

    /// RFC 9112 section 6.3, without what two readers may take differently.
    fn body(&self, version: Version, status: StatusCode, method: &Method) -> Result<Body, Fault> {
        let announced = match (self.codings, self.lengths) {
            (0, 0) => Body::Close,
            (0, 1) => Body::Length(self.length.ok_or(Fault::Framing)?),
            (1, 0) if self.chunked && version == Version::HTTP_11 => Body::Chunked,
            _ => return Err(Fault::Framing),
        };
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(match bodiless || method == Method::HEAD {
            true => Body::Length(0),
            false => announced,
        })
    }
}

/// Digits alone, without a leading zero, and no more than a signed number holds: read alike by everybody.
fn content_length(value: &[u8]) -> Option<u64> {
    let zeros = value.len() > 1 && value[0] == b'0';
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if zeros || !digits || value.len() > 18 {
        return None;
    }
    let sum = |length: u64, digit: &u8| length * 10 + u64::from(digit - b'0');
    Some(value.iter().fold(0, sum))
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
    fn what_concerns_the_connection_ends_with_it() {
        let fields = "Connection: keep-alive, x-hop, content-length\r\nX-Hop: 1\r\nUpgrade: h2c\r\n\
                      Content-Length: 0\r\nKeep-Alive: 5\r\nX-Kept: 1\r\n\r\n";
        let names = |status: &str| {
            let head = format!("HTTP/1.1 {status}\r\n{fields}");
            let head = parse(&head.into(), &Method::GET).unwrap();
            let mut names: Vec<_> = head.headers.keys().map(ToString::to_string).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names("200 OK"), ["content-length", "x-kept"]);
        assert_eq!(names("101 Switching Protocols").len(), 6);
        assert_eq!(
            names("426 Upgrade Required"),
            ["connection", "content-length", "upgrade", "x-kept"]
        );
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
