//! Clients that came without TLS are sent to the https site of the same name.

use http::header::LOCATION;
use http::{HeaderValue, Request, StatusCode};

use super::Refusal;
use crate::http::admission;

const HTTPS: u16 = 443;

/// 308 to the same target on `port` (RFC 9110 section 15.4.9): method and body stay. None for `OPTIONS *`, which asks
/// for no target.
pub(super) fn redirect<B>(request: &Request<B>, port: u16) -> Option<Refusal> {
    let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
    if target == "*" {
        return None;
    }
    // "http://host?query" has no path.
    let slash = if target.starts_with('/') { "" } else { "/" };
    let host = admission::requested_host(request);
    if host.is_empty() {
        // HTTP/1.0 without a host.
        return Some(StatusCode::BAD_REQUEST.into());
    }
    let location = match port {
        HTTPS => format!("https://{host}{slash}{target}"),
        _ => format!("https://{host}:{port}{slash}{target}"),
    };
    Some(Refusal {
        status: StatusCode::PERMANENT_REDIRECT,
        header: Some((LOCATION, HeaderValue::try_from(location).ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(uri: &str, host: &str, port: u16) -> Option<String> {
        let request = Request::builder().uri(uri).header("host", host);
        let refusal = redirect(&request.body(()).unwrap(), port)?;
        let value = refusal
            .header
            .map(|(_, value)| value.to_str().unwrap().to_owned());
        Some(value.unwrap_or_else(|| refusal.status.to_string()))
    }

    #[test]
    fn host_and_target_stay() {
        for (uri, host, port, expected) in [
            (
                "/a//b?c=%20",
                "A.example:80",
                443,
                "https://A.example/a//b?c=%20",
            ),
            ("/", "[::1]:8080", 8443, "https://[::1]:8443/"),
            (
                "//evil.example",
                "a.example",
                443,
                "https://a.example//evil.example",
            ),
            (
                "http://a.example?x",
                "a.example",
                443,
                "https://a.example/?x",
            ),
            ("/", "", 443, "400 Bad Request"),
        ] {
            assert_eq!(
                location(uri, host, port).as_deref(),
                Some(expected),
                "{uri}"
            );
        }
        assert_eq!(location("*", "a.example", 443), None);
    }
}
