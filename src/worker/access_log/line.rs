//! The formats of the access log. What a client sent stands in quotes and is escaped, so that no client can write lines
//! or fields of its own.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderValue;
use http::{Method, Uri, Version};

use crate::config::types::AccessLogFormat;

/// What is known of an exchange at its end.
pub struct Record<'a> {
    pub at: SystemTime,
    pub took: Duration,
    /// None on a Unix socket.
    pub client: Option<IpAddr>,
    pub secure: bool,
    /// None when no site was responsible.
    pub site: Option<&'a str>,
    pub host: Option<&'a HeaderValue>,
    /// None when it could not be made out.
    pub request: Option<RequestLine<'a>>,
    pub status: u16,
    /// Body bytes.
    pub sent: u64,
    pub referer: Option<&'a HeaderValue>,
    pub user_agent: Option<&'a HeaderValue>,
    /// Whose password was right.
    pub user: Option<&'a str>,
    pub request_id: Option<&'a HeaderValue>,
    /// Whose certificate the client has shown.
    pub client_subject: Option<&'a HeaderValue>,
}

/// What a request begins with.
#[derive(Clone, Copy)]
pub struct RequestLine<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub version: Version,
}

/// The current second as text, made once a second.
#[derive(Default)]
pub struct Stamp {
    second: u64,
    millisecond: u32,
    /// As in `22/Nov/2026:09:09:18 +0000`.
    common: String,
    /// As in `2026-11-22T09:09:18`.
    iso: String,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Stamp {
    pub fn move_to(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.millisecond = since.subsec_millis();
        if self.second == since.as_secs() && !self.common.is_empty() {
            return;
        }
        self.second = since.as_secs();
        // "Sun, 22 Nov 2026 09:09:18 GMT"
        let text = httpdate::fmt_http_date(time);
        let [day, month, year, clock] = [5..7, 8..11, 12..16, 17..25].map(|part| &text[part]);
        let number = MONTHS.iter().position(|name| *name == month);
        let number = number.unwrap_or_default() + 1;
        self.common = format!("{day}/{month}/{year}:{clock} +0000");
        self.iso = format!("{year}-{number:02}-{day}T{clock}");
    }
}

/// Appends one line. Writing into memory does not fail.
pub fn write(format: AccessLogFormat, out: &mut Vec<u8>, stamp: &Stamp, record: &Record<'_>) {
    match format {
        AccessLogFormat::Common => write_common(out, stamp, record),
        AccessLogFormat::Combined => {
            write_common(out, stamp, record);
            for value in [record.referer, record.user_agent] {
                out.extend(b" \"");
                match value {
                    Some(value) => escape(out, value.as_bytes()),
                    None => out.push(b'-'),
                }
                out.push(b'"');
            }
        }
        AccessLogFormat::Json => write_json(out, stamp, record),
    }
    out.push(b'\n');
}

/// `remote_addr - remote_user [time] "request" status bytes`, as Apache and nginx have it.
fn write_common(out: &mut Vec<u8>, stamp: &Stamp, record: &Record<'_>) {
    let _ = match record.client {
        Some(address) => write!(out, "{address}"),
        None => write!(out, "unix:"),
    };
    out.extend(b" - ");
    match record.user {
        Some(user) => escape_word(out, user.as_bytes()),
        None => out.push(b'-'),
    }
    let _ = write!(out, " [{}] \"", stamp.common);
    match &record.request {
        Some(request) => {
            escape(out, request.method.as_str().as_bytes());
            out.push(b' ');
            escape(out, target(request).as_bytes());
            let _ = write!(out, " {}", protocol(request.version));
        }
        None => out.push(b'-'),
    }
    let _ = write!(out, "\" {} {}", record.status, record.sent);
}

/// The request's target as the client wrote it; of HTTP/2 the path alone, which is what nginx shows.
fn target<'a>(request: &RequestLine<'a>) -> Cow<'a, str> {
    match request.uri.path_and_query() {
        Some(path) if request.version >= Version::HTTP_2 || request.uri.authority().is_none() => {
            Cow::Borrowed(path.as_str())
        }
        _ => Cow::Owned(request.uri.to_string()),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/3.0",
    }
}

/// The same for what stands without quotes: a blank would end it.
fn escape_word(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.split_inclusive(|&byte| byte == b' ') {
        match part.strip_suffix(b" ") {
            Some(part) => {
                escape(out, part);
                out.extend(b"\\x20");
            }
            None => escape(out, part),
        }
    }
}

/// As nginx does it: what is no visible ASCII, the quote and the backslash become `\xHH`.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let plain = |byte: &u8| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte);
    if bytes.iter().all(plain) {
        return out.extend(bytes);
    }
    for byte in bytes {
        match plain(byte) {
            true => out.push(*byte),
            false => drop(write!(out, "\\x{byte:02X}")),
        }
    }
}

fn write_json(out: &mut Vec<u8>, stamp: &Stamp, record: &Record<'_>) {
    let _ = write!(
        out,
        "{{\"time\":\"{}.{:03}Z\",\"remote_addr\":\"",
        stamp.iso, stamp.millisecond
    );
    let _ = match record.client {
        Some(address) => write!(out, "{address}"),
        None => write!(out, "unix:"),
    };
    let scheme = if record.secure { "https" } else { "http" };
    let request = record.request.as_ref();
    let authority = request.and_then(|request| request.uri.authority());
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let host = record.host.map(HeaderValue::as_bytes).or(authority);
    let _ = write!(out, "\",\"scheme\":\"{scheme}\"");
    member(out, "site", record.site.map(str::as_bytes));
    member(out, "host", host);
    let method = request.map(|request| request.method.as_str().as_bytes());
    let uri = request.map(target);
    let protocol = request.map(|request| protocol(request.version).as_bytes());
    member(out, "method", method);
    member(out, "uri", uri.as_deref().map(str::as_bytes));
    member(out, "protocol", protocol);
    let _ = write!(
        out,
        ",\"status\":{},\"bytes\":{},\"duration_ms\":{}",
        record.status,
        record.sent,
        record.took.as_micros() as f64 / 1000.0
    );
    member(out, "referer", record.referer.map(HeaderValue::as_bytes));
    member(
        out,
        "user_agent",
        record.user_agent.map(HeaderValue::as_bytes),
    );
    member(out, "remote_user", record.user.map(str::as_bytes));
    let id = record.request_id.map(HeaderValue::as_bytes);
    member(out, "request_id", id);
    let subject = record.client_subject.map(HeaderValue::as_bytes);
    member(out, "client_subject", subject);
    out.push(b'}');
}

/// `,"name":"text"`, or null. What is not UTF-8 becomes U+FFFD.
fn member(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    out.extend(b",\"");
    out.extend(name.as_bytes());
    out.extend(b"\":");
    match value {
        Some(value) => drop(serde_json::to_writer(out, &String::from_utf8_lossy(value))),
        None => out.extend(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: AccessLogFormat, uri: &str, version: Version, agent: &[u8]) -> String {
        let (method, uri) = (Method::GET, uri.parse().unwrap());
        let agent = HeaderValue::from_bytes(agent).unwrap();
        let at = UNIX_EPOCH + Duration::from_millis(1_795_338_558_042);
        let record = Record {
            at,
            took: Duration::from_micros(1250),
            client: Some("192.0.2.7".parse().unwrap()),
            secure: true,
            site: Some("shop"),
            host: None,
            request: Some(RequestLine {
                method: &method,
                uri: &uri,
                version,
            }),
            status: 206,
            sent: 1024,
            referer: None,
            user_agent: Some(&agent),
            user: None,
            request_id: None,
            client_subject: None,
        };
        let mut stamp = Stamp::default();
        stamp.move_to(at);
        let mut out = Vec::new();
        write(format, &mut out, &stamp, &record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_those_of_nginx() {
        let combined = line(
            AccessLogFormat::Combined,
            "/a?b=c",
            Version::HTTP_11,
            b"curl/8",
        );
        assert_eq!(
            combined,
            "192.0.2.7 - - [22/Nov/2026:09:09:18 +0000] \"GET /a?b=c HTTP/1.1\" 206 1024 \"-\" \"curl/8\"\n"
        );
        let common = line(AccessLogFormat::Common, "https://h/x", Version::HTTP_2, b"");
        assert_eq!(
            common,
            "192.0.2.7 - - [22/Nov/2026:09:09:18 +0000] \"GET /x HTTP/2.0\" 206 1024\n"
        );
    }

    #[test]
    fn nobody_writes_fields_of_his_own() {
        let agent = b"x\" 200 \"\\\t\xff";
        let combined = line(AccessLogFormat::Combined, "/", Version::HTTP_11, agent);
        assert!(
            combined.ends_with("\"x\\x22 200 \\x22\\x5C\\x09\\xFF\"\n"),
            "{combined}"
        );
        assert_eq!(combined.lines().count(), 1);
        let json = line(AccessLogFormat::Json, "/", Version::HTTP_11, agent);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["user_agent"], "x\" 200 \"\\\t\u{fffd}");
        assert_eq!(json.lines().count(), 1);
    }

    #[test]
    fn a_name_is_one_word() {
        let mut out = Vec::new();
        escape_word(&mut out, "J\u{fc}r \"x\" ".as_bytes());
        assert_eq!(out, b"J\\xC3\\xBCr\\x20\\x22x\\x22\\x20");
    }

    #[test]
    fn json_has_what_programs_need() {
        let json = line(
            AccessLogFormat::Json,
            "https://shop.example/x",
            Version::HTTP_2,
            b"a",
        );
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let wanted = serde_json::json!({
            "time": "2026-11-22T09:09:18.042Z", "remote_addr": "192.0.2.7", "scheme": "https", "site": "shop",
            "host": "shop.example", "method": "GET", "uri": "/x", "protocol": "HTTP/2.0", "status": 206,
            "bytes": 1024, "duration_ms": 1.25, "referer": null, "user_agent": "a", "remote_user": null,
            "request_id": null, "client_subject": null,
        });
        assert_eq!(value, wanted);
    }

    #[test]
    fn a_second_is_written_once() {
        let mut stamp = Stamp::default();
        stamp.move_to(UNIX_EPOCH);
        assert_eq!(stamp.iso, "1970-01-01T00:00:00");
        stamp.move_to(UNIX_EPOCH + Duration::from_millis(1999));
        assert_eq!(
            (&*stamp.iso, stamp.millisecond),
            ("1970-01-01T00:00:01", 999)
        );
    }
}
