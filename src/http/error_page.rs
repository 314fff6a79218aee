//! Small pages for what could not be answered.

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::body::Body;
use super::error_pages::Page;

/// How the client wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// A browser: HTML, else plain text.
    pub html: bool,
    /// `HEAD`: headers alone.
    pub head_only: bool,
}

impl Audience {
    /// What `headers` of a request for `method` ask for.
    pub fn of(method: &http::Method, headers: &HeaderMap) -> Self {
        let html = headers
            .get_all(ACCEPT)
            .iter()
            .any(|value| memchr::memmem::find(value.as_bytes(), b"text/html").is_some());
        Self {
            html,
            head_only: method == http::Method::HEAD,
        }
    }
}

/// A page that names `status` and nothing else; no site's headers are on it.
pub fn respond_error(status: StatusCode, audience: Audience) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    write_error(&mut response, status, audience);
    response
}

/// As [`respond_error`], and the connection ends: its framing cannot be trusted any more.
pub fn respond_error_and_close(status: StatusCode, audience: Audience) -> Response<Body> {
    let mut response = respond_error(status, audience);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Makes `response` the page for `status`, keeping its other headers.
pub(super) fn write_error(response: &mut Response<Body>, status: StatusCode, audience: Audience) {
    *response.status_mut() = status;
    let text = page(status, audience.html);
    let kind = if audience.html {
        "text/html; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    // A cache may keep some errors, 404 for one, and must not show a browser's page to a program.
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    *response.body_mut() = if audience.head_only {
        Body::Empty
    } else {
        Body::Full(Bytes::from(text))
    };
}

/// The same with a page of the site's own.
pub(super) fn write_page(
    response: &mut Response<Body>,
    status: StatusCode,
    page: &Page,
    audience: Audience,
) {
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, page.media_type());
    headers.insert(CONTENT_LENGTH, HeaderValue::from(page.length()));
    *response.body_mut() = if audience.head_only {
        Body::Empty
    } else {
        page.body()
    };
}

fn page(status: StatusCode, html: bool) -> String {
    let (code, reason) = (
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error"),
    );
    if !html {
        return format!("{code} {reason}\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{code} {reason}</title></head>\n\
         <body><h1>{code}</h1><p>{reason}</p></body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_html_and_head_gets_no_body() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        let audience = Audience::of(&http::Method::HEAD, &headers);
        assert_eq!(
            audience,
            Audience {
                html: true,
                head_only: true
            }
        );
        let response = respond_error(StatusCode::NOT_FOUND, audience);
        let length = page(StatusCode::NOT_FOUND, true).len().to_string();
        assert_eq!(response.headers()[CONTENT_LENGTH], *length);
        assert!(matches!(response.body(), Body::Empty));
    }

    #[test]
    fn plain_text_otherwise() {
        let response = respond_error_and_close(StatusCode::BAD_REQUEST, Audience::default());
        assert_eq!(response.headers()[CONNECTION], "close");
        assert!(matches!(response.body(), Body::Full(text) if text == "400 Bad Request\n"));
    }
}
