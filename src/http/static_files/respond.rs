//! Responses of static files.

use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};

use super::conditional::{self, Verdict};
use super::multipart::respond_parts;
use super::prepared::Prepared;
use super::range::{self, Part, Selection};
use super::variants::respond_negotiated;
use crate::http::body::Body;
use crate::http::error_page::Audience;
use crate::http::site::Site;

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Answers a GET or HEAD request with `file`, as its conditions and its range ask.
pub(in crate::http) fn respond_file(
    site: &Site,
    file: &Prepared,
    method: &Method,
    request: &HeaderMap,
) -> Response<Body> {
    match (&file.variants, &site.compression) {
        (Some(variants), Some(compression)) => {
            respond_negotiated(site, compression, file, variants, method, request)
        }
        _ => respond_representation(site, file, method, request),
    }
}

/// The same for a file, or a form of it, that is sent as it is.
pub(super) fn respond_representation(
    site: &Site,
    file: &Prepared,
    method: &Method,
    request: &HeaderMap,
) -> Response<Body> {
    match conditional::evaluate(request, &file.validators()) {
        Verdict::Proceed => {}
        Verdict::NotModified => return respond_not_modified(file.headers.clone()),
        Verdict::Failed => return respond_failed(site, Audience::of(method, request)),
    }
    match select(file, method, request) {
        Selection::Whole => respond_whole(file, method),
        Selection::One(part) => respond_part(file, part),
        Selection::Several(parts) => respond_parts(file, &parts),
        Selection::Unsatisfiable => {
            respond_unsatisfiable(site, file, Audience::of(method, request))
        }
    }
}

/// A range means something for GET alone, once, and for the state of the file that the client knows.
fn select(file: &Prepared, method: &Method, request: &HeaderMap) -> Selection {
    let mut ranges = request.get_all(RANGE).iter();
    match (ranges.next(), ranges.next()) {
        (Some(value), None)
            if method == Method::GET && conditional::range_applies(request, &file.validators()) =>
        {
            range::select(value.as_bytes(), file.length)
        }
        _ => Selection::Whole,
    }
}

fn respond_whole(file: &Prepared, method: &Method) -> Response<Body> {
    let body = if method == Method::HEAD {
        Body::Empty
    } else {
        file.whole_body()
    };
    let mut response = Response::new(body);
    *response.headers_mut() = file.headers.clone();
    response
}

fn respond_part(file: &Prepared, part: Part) -> Response<Body> {
    let mut response = Response::new(file.body(part));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    *headers = file.headers.clone();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.length));
    headers.insert(CONTENT_RANGE, ascii(&part.content_range(file.length)));
    response
}

fn respond_unsatisfiable(site: &Site, file: &Prepared, audience: Audience) -> Response<Body> {
    let mut response = site.response();
    site.write_error(&mut response, StatusCode::RANGE_NOT_SATISFIABLE, audience);
    response
        .headers_mut()
        .insert(CONTENT_RANGE, ascii(&format!("bytes */{}", file.length)));
    response
}

/// RFC 9110 section 15.4.5: what a 200 would say of the file's identity, nothing of its content.
pub(super) fn respond_not_modified(mut headers: HeaderMap) -> Response<Body> {
    for name in [
        CONTENT_LENGTH,
        CONTENT_TYPE,
        CONTENT_ENCODING,
        ACCEPT_RANGES,
    ] {
        headers.remove(name);
    }
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = headers;
    response
}

pub(super) fn respond_failed(site: &Site, audience: Audience) -> Response<Body> {
    let mut response = site.response();
    site.write_error(&mut response, StatusCode::PRECONDITION_FAILED, audience);
    response
}

/// 301 to the same path with a slash behind it. Relative, so that neither scheme nor host can be wrong, and with
/// a single slash in front, so that it cannot become the host.
pub(in crate::http) fn respond_redirect(
    site: &Site,
    uri: &Uri,
    audience: Audience,
) -> Response<Body> {
    let mut response = site.response();
    site.write_error(&mut response, StatusCode::MOVED_PERMANENTLY, audience);
    let mut location = format!("/{}/", uri.path().trim_start_matches(['/', '\\']));
    if let Some(query) = uri.query() {
        location.push('?');
        location.push_str(query);
    }
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// 204 for OPTIONS, 405 for methods that files do not have, 501 for what is no method that we know (RFC 9110 section 9.1).
pub(in crate::http) fn respond_methods(
    site: &Site,
    method: &Method,
    request: &HeaderMap,
) -> Response<Body> {
    let mut response = site.response();
    let status = match *method {
        Method::OPTIONS => {
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(ALLOW, ALLOWED);
            return response;
        }
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::CONNECT
        | Method::TRACE => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::NOT_IMPLEMENTED,
    };
    site.write_error(&mut response, status, Audience::of(method, request));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, ALLOWED);
    }
    response
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ranges are visible ASCII")
}
