//! What lies in a folder, for people ([`html`]) and programs ([`json`]).
mod entries;
mod html;
mod json;

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tokio::sync::Semaphore;

pub(super) use self::entries::Reader;
use super::locate::status_of;
use super::root::Root;
use crate::http::body::Body;
use crate::http::compression;
use crate::http::error_page::Audience;
use crate::http::site::Site;
use crate::http::weight::{FULL, Weight, weight};

/// Folders that this process reads at once.
static AT_ONCE: Semaphore = Semaphore::const_new(8);

/// Answers a GET or HEAD request for `folder`, which is named from the root and ends in a slash, or is empty. The folder
/// is read, and the page made, on a thread of its own: both may be long.
pub(in crate::http) async fn respond_listing(
    site: &Site,
    folder: &[u8],
    method: &Method,
    request: &HeaderMap,
) -> Response<Body> {
    let mut response = site.response();
    let as_json = prefers_json(request);
    match text(site.root.as_ref(), folder, as_json).await {
        Ok(text) => write(&mut response, text, as_json),
        Err(status) => {
            site.write_error(&mut response, status, Audience::of(method, request));
            return response;
        }
    }
    if method == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    if let Some(compression) = &site.compression {
        let asked = compression::Request::new(method, request);
        compression.apply(asked, &mut response);
    }
    response
}

async fn text(root: Option<&Root>, folder: &[u8], as_json: bool) -> Result<String, StatusCode> {
    let root = root.ok_or(StatusCode::NOT_FOUND)?;
    let wanted = root.reader(folder).map_err(status_of)?;
    let _turn = AT_ONCE.acquire().await;
    let work = move || {
        let listing = entries::read(&wanted, entries::LIMITS)?;
        Ok(if as_json {
            json::text(&listing)
        } else {
            html::page(&wanted.folder, &listing)
        })
    };
    let made = tokio::task::spawn_blocking(work).await;
    made.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        .map_err(status_of)
}

fn write(response: &mut Response<Body>, text: String, as_json: bool) {
    let kind = if as_json {
        "application/json"
    } else {
        "text/html; charset=utf-8"
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.append(VARY, HeaderValue::from_static("accept"));
    *response.body_mut() = Body::Full(text.into());
}

/// Whether `Accept` names JSON, and HTML not more (RFC 9110 section 12.5.1).
fn prefers_json(request: &HeaderMap) -> bool {
    let wanted = |name: &[u8]| -> Weight {
        let values = request.get_all(ACCEPT).iter();
        values
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .filter_map(|range| weight_of(range, name))
            .max()
            .unwrap_or(0)
    };
    let json = wanted(b"application/json");
    json > 0 && json >= wanted(b"text/html")
}

/// How much a media range wants `name`; None when it is another.
fn weight_of(range: &[u8], name: &[u8]) -> Option<Weight> {
    let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next()?.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(parts.find_map(weight).unwrap_or(FULL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_name_it() {
        for (accept, json) in [
            ("application/json", true),
            ("Application/JSON;q=0.1, */*", true),
            ("*/*", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("text/html, application/json;q=0.9", false),
            ("text/html;q=0.9, application/json", true),
            ("application/json;q=0", false),
            ("application/jsonp", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_json(&headers), json, "{accept}");
        }
        assert!(!prefers_json(&HeaderMap::new()));
    }
}
