//! Whether a request's head is as large as it may be.

use http::header::COOKIE;
use http::{HeaderMap, Request, StatusCode, Version};

use super::admission::Refusal;
use crate::config::types::HeadLimits;

/// 414 (RFC 9110 section 15.5.15) or 431 (RFC 6585 section 5). Heads that came by HTTP/1 were counted on the wire, before
/// this; of HTTP/2 the same is asked.
pub(super) fn check<B>(request: &Request<B>, limits: &HeadLimits) -> Result<(), Refusal> {
    if target_length(request) > limits.target as usize {
        return Err(refusal(StatusCode::URI_TOO_LONG));
    }
    let over_http2 = request.version() == Version::HTTP_2;
    if over_http2
        && (has_too_many(request.headers(), limits.fields as usize)
            || size(request) > limits.size as usize)
    {
        return Err(refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    Ok(())
}

fn refusal(status: StatusCode) -> Refusal {
    Refusal {
        status,
        close: true,
    }
}

fn target_length<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query();
    target.map_or(0, |target| target.as_str().len())
}

/// `Cookie` counts once, in however many pieces it comes (RFC 9113 section 8.2.3).
fn has_too_many(headers: &HeaderMap, most: usize) -> bool {
    let count = headers.len();
    count > most && count - headers.get_all(COOKIE).iter().skip(1).count() > most
}

/// Bytes of the head as HTTP/1.1 writes it.
fn size<B>(request: &Request<B>) -> usize {
    let authority = request.uri().authority().map_or("", |it| it.as_str());
    let line = request.method().as_str().len() + target_length(request) + "  HTTP/1.1\r\n".len();
    let host = authority.len() + "host: \r\n".len();
    let field = ": \r\n".len();
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + field);
    line + host + fields.sum::<usize>() + "\r\n".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        size: 300,
        fields: 3,
        target: 200,
    };

    fn request(version: Version, target: usize, fields: &[(&str, usize)]) -> Result<(), u16> {
        let target = format!("http://a/{}", "t".repeat(target - 1));
        let mut request = Request::builder().version(version).uri(target);
        for (name, length) in fields {
            request = request.header(*name, "v".repeat(*length));
        }
        check(&request.body(()).unwrap(), &LIMITS).map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn a_target_beyond_the_limit_is_414() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(request(version, 200, &[]), Ok(()));
            assert_eq!(request(version, 201, &[]), Err(414));
        }
    }

    #[test]
    fn a_head_counts_as_http_1_writes_it() {
        // What is there beside the value.
        let frame = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
        assert_eq!(request(Version::HTTP_2, 1, &[("x", 300 - frame)]), Ok(()));
        assert_eq!(request(Version::HTTP_2, 1, &[("x", 301 - frame)]), Err(431));
    }

    #[test]
    fn a_cookie_in_pieces_is_one_field() {
        let pieces = [("cookie", 1), ("cookie", 1), ("a", 1), ("b", 1)];
        assert_eq!(request(Version::HTTP_2, 1, &pieces), Ok(()));
        let fields = [("c", 1), ("cookie", 1), ("a", 1), ("b", 1)];
        assert_eq!(request(Version::HTTP_2, 1, &fields), Err(431));
    }
}
