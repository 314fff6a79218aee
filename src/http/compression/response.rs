//! Compresses a response that came from elsewhere.

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::accept::Accepted;
use super::rules::{Compression, forbids_transformation};
use super::stream::Compressed;
use crate::config::types::Algorithm;
use crate::http::body::Body;

/// Fields that a coding makes untrue.
const OF_PLAIN_BYTES: [HeaderName; 6] = [
    CONTENT_LENGTH,
    ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// What of a request has to be known when its response comes.
#[derive(Clone, Copy)]
pub(in crate::http) struct Request {
    accepted: Accepted,
    head_only: bool,
    untouched: bool,
    /// It asks whether a response that we compressed is still good.
    knows_weak: bool,
}

impl Request {
    pub(in crate::http) fn new(method: &Method, headers: &HeaderMap) -> Self {
        let weak = |value: &HeaderValue| value.as_bytes().trim_ascii().starts_with(b"W/");
        Self {
            accepted: Accepted::of(headers),
            head_only: method == Method::HEAD,
            untouched: forbids_transformation(headers),
            knows_weak: headers.get(IF_NONE_MATCH).is_some_and(weak),
        }
    }
}

impl Compression {
    /// Compresses `response` when it is worth it and the client wants it.
    pub(in crate::http) fn apply(&self, request: Request, response: &mut Response<Body>) {
        if self.is_of_another(response) {
            add_vary(response.headers_mut());
        }
        if response.status() == StatusCode::NOT_MODIFIED && request.knows_weak {
            weaken(response.headers_mut());
            return;
        }
        let length = length(response);
        let bodiless = !request.head_only && matches!(response.body(), Body::Empty);
        if request.untouched
            || bodiless
            || !may_be_encoded(response)
            || !self.suits(response.headers(), length)
        {
            return;
        }
        add_vary(response.headers_mut());
        let offered = self.algorithms.iter().copied();
        for algorithm in request.accepted.ranked(offered) {
            if request.head_only {
                return mark_encoded(response.headers_mut(), algorithm);
            }
            let source = std::mem::take(response.body_mut());
            let stream =
                Compressed::new(source, algorithm, self.strength, length, &self.compressors);
            match stream {
                Ok(stream) => {
                    *response.body_mut() = Body::Stream(Box::pin(stream));
                    return mark_encoded(response.headers_mut(), algorithm);
                }
                Err(source) => *response.body_mut() = source,
            }
        }
    }
}

impl Compression {
    /// Whether `response` speaks of one that is compressed for those who want it: what that one says of caches it says as
    /// well (RFC 9110 sections 15.3.7 and 15.4.5). A 304 mostly does not tell the type.
    fn is_of_another(&self, response: &Response<Body>) -> bool {
        let headers = response.headers();
        let kind = headers.get(CONTENT_TYPE).map(|kind| self.lists(kind));
        let listed = match response.status() {
            StatusCode::NOT_MODIFIED => kind.unwrap_or(true),
            StatusCode::PARTIAL_CONTENT => kind.unwrap_or(false),
            _ => false,
        };
        listed && !headers.contains_key(CONTENT_ENCODING) && !forbids_transformation(headers)
    }
}

/// Of the body that a GET gets, if the head says so.
fn length(response: &Response<Body>) -> Option<u64> {
    match response.headers().get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None => response.body().size_hint().exact().filter(|&it| it > 0),
    }
}

fn may_be_encoded(response: &Response<Body>) -> bool {
    let status = response.status();
    let has_content = ![
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::PARTIAL_CONTENT,
        StatusCode::NOT_MODIFIED,
    ]
    .contains(&status);
    has_content && !status.is_informational() && !response.headers().contains_key(CONTENT_RANGE)
}

/// The name of a coding in `Content-Encoding`.
pub(in crate::http) fn coding(algorithm: Algorithm) -> HeaderValue {
    HeaderValue::from_static(match algorithm {
        Algorithm::Zstd => "zstd",
        Algorithm::Br => "br",
        Algorithm::Gzip => "gzip",
    })
}

/// Makes a head that of a body compressed on the way.
pub(in crate::http) fn mark_encoded(headers: &mut HeaderMap, algorithm: Algorithm) {
    for name in &OF_PLAIN_BYTES {
        headers.remove(name);
    }
    headers.insert(CONTENT_ENCODING, coding(algorithm));
    weaken(headers);
}

/// Its bytes are not those that a strong validator stands for (RFC 9110 section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers
        .get(ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""))
    else {
        return;
    };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        headers.insert(ETAG, weak);
    }
}

/// Tells caches that another client may get another coding.
pub(in crate::http) fn add_vary(headers: &mut HeaderMap) {
    let named = headers
        .get_all(VARY)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"));
    if !named {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types;
    use crate::http::compression::Compressors;

    #[test]
    fn what_speaks_of_a_compressed_one_varies_as_it_does() {
        let rules = types::Compression {
            types: vec!["text/*".into()],
            level: 6,
            min_size: 1,
            algorithms: vec![Algorithm::Gzip],
        };
        let compression = Compression::new(&rules, &Compressors::default());
        let request = Request::new(&Method::GET, &HeaderMap::new());
        for (status, fields, varies) in [
            (304, &[][..], true),
            (304, &[("content-type", "text/css")], true),
            (304, &[("content-type", "image/png")], false),
            (304, &[("cache-control", "no-transform")], false),
            (206, &[("content-type", "text/css")], true),
            (206, &[("content-type", "image/png")], false),
            (206, &[], false),
            (204, &[("content-type", "text/css")], false),
        ] {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in fields {
                let value = HeaderValue::from_static(value);
                response.headers_mut().insert(*name, value);
            }
            compression.apply(request, &mut response);
            let vary = response.headers().contains_key(VARY);
            assert_eq!(vary, varies, "{status} {fields:?}");
        }
    }
}
