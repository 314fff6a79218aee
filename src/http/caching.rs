//! What caches are told of an upstream's response that says nothing of them itself (`max_age_dynamic`).

use http::header::{AUTHORIZATION, CACHE_CONTROL, EXPIRES, PRAGMA, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::body::Body;

/// Whoever sends one of these has thought of caches, or of one client only.
const SAYS_ENOUGH: [HeaderName; 4] = [CACHE_CONTROL, EXPIRES, PRAGMA, SET_COOKIE];

/// Whether the answer to such a request may be for others, too (RFC 9111 section 3.5).
pub(super) fn is_for_all(method: &Method, request: &HeaderMap) -> bool {
    (method == Method::GET || method == Method::HEAD) && !request.contains_key(AUTHORIZATION)
}

/// Sets `told` as the `Cache-Control` of a response to a request that [`is_for_all`].
pub(super) fn tell(told: &HeaderValue, response: &mut Response<Body>) {
    let lasting = [
        StatusCode::OK,
        StatusCode::NON_AUTHORITATIVE_INFORMATION,
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let silent = |name: &HeaderName| !response.headers().contains_key(name);
    if lasting.contains(&response.status()) && SAYS_ENOUGH.iter().all(silent) {
        response.headers_mut().insert(CACHE_CONTROL, told.clone());
    }
}
