//! Whether a request is well-formed beyond what hyper checks, and which host it means.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};

use super::{fields, head_size, spelling};
use crate::config::types::HeadLimits;

/// Why a request is not answered by any site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// What follows on the connection cannot be trusted.
    pub(super) close: bool,
}

const BAD: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    close: true,
};

/// The host that `request` means, without its port; empty when it names none (HTTP/1.0).
pub(super) fn admit<'r, B>(
    request: &'r Request<B>,
    limits: &HeadLimits,
) -> Result<&'r str, Refusal> {
    head_size::check(request, limits)?;
    check_framing(request.version(), request.headers())?;
    check_target(request)?;
    let authority = requested_authority(request)?;
    match split_authority(authority).ok_or(BAD)? {
        // An http URI has a host (RFC 9110 section 4.2.1).
        ("", _) if request.version() > Version::HTTP_10 => Err(BAD),
        (host, _) => Ok(host),
    }
}

/// The authority that the client named (the port included), the request target first: RFC 9112 section 3.2.2.
pub(super) fn requested_authority<B>(request: &Request<B>) -> Result<&str, Refusal> {
    let named = host_header(request.headers())?;
    match (request.uri().authority(), named) {
        (Some(authority), named) => {
            check_agreement(request, authority, named)?;
            Ok(authority.as_str())
        }
        (None, Some(named)) => Ok(named),
        (None, None) if request.version() <= Version::HTTP_10 => Ok(""),
        (None, None) => Err(BAD),
    }
}

/// The authority that an admitted request names, as a value for other fields; None when it names none.
pub(super) fn named_authority<B>(request: &Request<B>) -> Option<HeaderValue> {
    let host = match request.uri().authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => request.headers().get(HOST).cloned(),
    };
    host.filter(|host| !host.is_empty())
}

/// The host of an admitted request, without its port; empty when it names none.
pub(super) fn requested_host<B>(request: &Request<B>) -> &str {
    let authority = requested_authority(request).unwrap_or_default();
    split_authority(authority).map_or("", |(host, _)| host)
}

fn host_header(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(BAD);
    }
    first
        .map(|value| value.to_str().map_err(|_| BAD))
        .transpose()
}

/// A `Host` beside an authority in the target must mean the same (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
fn check_agreement<B>(
    request: &Request<B>,
    authority: &Authority,
    named: Option<&str>,
) -> Result<(), Refusal> {
    let Some(named) = named else {
        return if request.version() == Version::HTTP_11 {
            Err(BAD)
        } else {
            Ok(())
        };
    };
    let default_port = if request.uri().scheme_str() == Some("https") {
        "443"
    } else {
        "80"
    };
    let (host, port) = split_authority(authority.as_str()).ok_or(BAD)?;
    let (named_host, named_port) = split_authority(named).ok_or(BAD)?;
    let port_or_default =
        |port: &str| if port.is_empty() { default_port } else { port } == default_port;
    let same_port = port == named_port || (port_or_default(port) && port_or_default(named_port));
    if same_port && host.eq_ignore_ascii_case(named_host) {
        Ok(())
    } else {
        Err(BAD)
    }
}

/// RFC 9112 sections 6.1 to 6.3, stricter where requests are smuggled. (A `Content-Length` beside a
/// `Transfer-Encoding` is taken away by hyper before it comes here, and the connection closed after the answer.)
fn check_framing(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    let mimics = |name: &HeaderName| spelling::mimics_framing(name.as_str().as_bytes());
    if lengths.next().is_some() || (coding.is_some() && length.is_some()) {
        return Err(BAD);
    }
    // Over HTTP/1 `worker::framing` has looked for all that.
    if version == Version::HTTP_2 && (!fields::are_sound(headers) || headers.keys().any(mimics)) {
        return Err(BAD);
    }
    let Some(coding) = coding else { return Ok(()) };
    if version != Version::HTTP_11 {
        return Err(BAD);
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal {
            status: StatusCode::NOT_IMPLEMENTED,
            close: true,
        });
    }
    Ok(())
}

fn check_target<B>(request: &Request<B>) -> Result<(), Refusal> {
    let (method, uri) = (request.method(), request.uri());
    // What RFC 8441 made of CONNECT has a target like any request, and is for the proxy to judge.
    let connect =
        method == Method::CONNECT && request.extensions().get::<h2::ext::Protocol>().is_none();
    if connect || method == Method::TRACE {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            close: true,
        });
    }
    let is_http = |scheme: &str| {
        ["http", "https"]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(scheme))
    };
    let well_formed = match uri.scheme_str() {
        Some(scheme) => is_http(scheme) && !is_bare_query(request),
        // Authority-form is for CONNECT alone (RFC 9112 section 3.2.3).
        None => uri.authority().is_none() || request.version() == Version::HTTP_2,
    };
    let asterisk = method == Method::OPTIONS && uri.path() == "*";
    if well_formed && (asterisk || uri.path().starts_with('/')) {
        Ok(())
    } else {
        Err(BAD)
    }
}

/// Whether the target begins with its query. Of an absolute form that is right, but `:path` has a path (RFC 9113 section
/// 8.3.1).
fn is_bare_query<B>(request: &Request<B>) -> bool {
    let target = request.uri().path_and_query();
    request.version() == Version::HTTP_2 && target.is_some_and(|it| it.as_str().starts_with('?'))
}

/// Host and port (empty for none) of `authority`; None when it is not one that we accept.
fn split_authority(authority: &str) -> Option<(&str, &str)> {
    let literal = authority.starts_with('[');
    let end = if literal {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(end);
    let port = match rest.strip_prefix(':') {
        Some(port) => port,
        None if rest.is_empty() => "",
        None => return None,
    };
    let valid_host = if literal {
        host[1..end - 1].parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        host.len() <= 255 && host.bytes().all(is_host_byte)
    };
    let valid_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok());
    (valid_host && valid_port).then_some((host, port))
}

/// RFC 3986 reg-name, without the comma, which two joined `Host` headers would bring.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn host(target: &str, headers: &[(&str, &str)]) -> Result<String, u16> {
        let request = request(target, headers);
        admit(&request, &HeadLimits::default())
            .map(str::to_owned)
            .map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn the_port_does_not_belong_to_the_host() {
        assert_eq!(
            host("/", &[("host", "a.example:8080")]).as_deref(),
            Ok("a.example")
        );
        assert_eq!(host("/", &[("host", "[::1]:8080")]).as_deref(), Ok("[::1]"));
    }

    #[test]
    fn exactly_one_valid_host() {
        assert_eq!(host("/", &[]), Err(400));
        assert_eq!(host("/", &[("host", "")]), Err(400));
        assert_eq!(host("/", &[("host", ":80")]), Err(400));
        assert_eq!(host("/", &[("host", "a"), ("host", "a")]), Err(400));
        for bad in [
            "a b", "a/b", "a@b", "a,b", "a:b", "a:99999", "[::1", "[zz]", "[::1]x", "a\tb", "é",
        ] {
            assert_eq!(host("/", &[("host", bad)]), Err(400), "{bad}");
        }
    }

    #[test]
    fn http_1_0_may_do_without_host() {
        let mut request = request("/", &[]);
        *request.version_mut() = Version::HTTP_10;
        assert_eq!(admit(&request, &HeadLimits::default()), Ok(""));
    }

    #[test]
    fn absolute_form_must_agree_with_host() {
        assert_eq!(host("http://a/x", &[("host", "A:80")]).as_deref(), Ok("a"));
        assert_eq!(host("http://a/x", &[("host", "b")]), Err(400));
        assert_eq!(host("http://a/x", &[("host", "a:81")]), Err(400));
        assert_eq!(host("http://u@a/x", &[("host", "a")]), Err(400));
        assert_eq!(host("ftp://a/x", &[("host", "a")]), Err(400));
        assert_eq!(host("a:80", &[("host", "a")]), Err(400));
        assert_eq!(host("http://a/x", &[]), Err(400));
    }

    #[test]
    fn http_2_may_name_the_host_either_way() {
        let mut request = request("http://a/x", &[]);
        *request.version_mut() = Version::HTTP_2;
        let limits = HeadLimits::default();
        assert_eq!(admit(&request, &limits), Ok("a"));
        request.headers_mut().insert(HOST, "b".parse().unwrap());
        assert!(admit(&request, &limits).is_err());
    }

    #[test]
    fn over_http_2_fields_and_paths_are_what_they_are_over_http_1() {
        for (target, name, value, sound) in [
            ("http://a/x", "content_length", "5", false),
            ("http://a/x", "content-lengths", "5", true),
            ("http://a/x", "x", "5 ", false),
            ("HTTPS://a/x", "x", "5", true),
            ("http://a?x", "x", "5", false),
            ("http://a/?x", "x", "5", true),
        ] {
            let mut request = request(target, &[(name, value)]);
            *request.version_mut() = Version::HTTP_2;
            let admitted = admit(&request, &HeadLimits::default());
            assert_eq!(admitted.is_ok(), sound, "{target} {name}: {value}");
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        let base = ("host", "a");
        assert_eq!(
            host("/", &[base, ("transfer-encoding", "Chunked")]).as_deref(),
            Ok("a")
        );
        assert_eq!(
            host("/", &[base, ("transfer-encoding", "gzip, chunked")]),
            Err(501)
        );
        let both = [
            base,
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
        ];
        assert_eq!(host("/", &both), Err(400));
        let twice = [
            base,
            ("transfer-encoding", "chunked"),
            ("transfer-encoding", "chunked"),
        ];
        assert_eq!(host("/", &twice), Err(501));
        assert_eq!(
            host(
                "/",
                &[base, ("content-length", "3"), ("content-length", "3")]
            ),
            Err(400)
        );
    }
}
