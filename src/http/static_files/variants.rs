//! A file in the coding that a client wants: a sibling that lies compressed on disk, compressed now, or as it is.

use std::rc::Rc;

use http::header::{CONTENT_LENGTH, RANGE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::conditional::{self, Verdict};
use super::prepared::{Content, Prepared};
use super::respond::{respond_failed, respond_not_modified, respond_representation};
use crate::config::types::Algorithm;
use crate::http::body::Body;
use crate::http::compression::{
    Accepted, Compressed, Compression, StoreKey, add_vary, encode_all, mark_encoded,
};
use crate::http::error_page::Audience;
use crate::http::site::Site;

/// Longer files are not compressed while somebody waits.
const MAX_LENGTH: u64 = 32 << 20;

/// The forms that a file has beside its own.
pub(super) struct Variants {
    pub(super) siblings: Vec<(Algorithm, Rc<Prepared>)>,
    /// Whether it may be compressed on the way.
    compressible: bool,
}

impl Variants {
    /// None when the file has a single form.
    pub(super) fn new(
        siblings: Vec<(Algorithm, Rc<Prepared>)>,
        compression: &Compression,
        headers: &HeaderMap,
        length: u64,
    ) -> Option<Box<Self>> {
        let compressible = length <= MAX_LENGTH && compression.suits(headers, Some(length));
        let several = compressible || !siblings.is_empty();
        several.then(|| {
            Box::new(Self {
                siblings,
                compressible,
            })
        })
    }

    fn sibling(&self, algorithm: Algorithm) -> Option<&Prepared> {
        let found = self.siblings.iter().find(|(it, _)| *it == algorithm);
        found.map(|(_, file)| &**file)
    }
}

/// Answers with the form that `request` asks for: RFC 9110 section 12.5.3.
pub(super) fn respond_negotiated(
    site: &Site,
    compression: &Compression,
    file: &Prepared,
    variants: &Variants,
    method: &Method,
    request: &HeaderMap,
) -> Response<Body> {
    let accepted = Accepted::of(request);
    let ours = || compression.algorithms.iter().copied();
    let on_disk = ours().filter(|algorithm| variants.sibling(*algorithm).is_some());
    let best = accepted.ranked(on_disk).next();
    if let Some(sibling) = best.and_then(|algorithm| variants.sibling(algorithm)) {
        return respond_representation(site, sibling, method, request);
    }
    // A part of what is compressed on the way cannot be told apart: it has no strong validator.
    let wants_part = method == Method::GET && request.contains_key(RANGE);
    if variants.compressible && (!wants_part || accepted.refuses_identity()) {
        for algorithm in accepted.ranked(ours()) {
            let response = respond_compressed(site, compression, file, algorithm, method, request);
            if let Some(response) = response {
                return response;
            }
        }
    }
    if accepted.refuses_identity() {
        let mut response = site.response();
        let audience = Audience::of(method, request);
        site.write_error(&mut response, StatusCode::NOT_ACCEPTABLE, audience);
        add_vary(response.headers_mut());
        return response;
    }
    respond_representation(site, file, method, request)
}

/// None when it is not worth it, or cannot be afforded now.
fn respond_compressed(
    site: &Site,
    compression: &Compression,
    file: &Prepared,
    algorithm: Algorithm,
    method: &Method,
    request: &HeaderMap,
) -> Option<Response<Body>> {
    let mut headers = file.headers.clone();
    mark_encoded(&mut headers, algorithm);
    match conditional::evaluate(request, &file.validators().weakened()) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Some(respond_not_modified(headers)),
        Verdict::Failed => return Some(respond_failed(site, Audience::of(method, request))),
    }
    let body = compressed_body(compression, file, algorithm)?;
    if let Body::Full(bytes) = &body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    let mut response = Response::new(body);
    if method == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    *response.headers_mut() = headers;
    Some(response)
}

/// A small file is compressed at once, a long one while it is sent; both once, as long as they stay as they are.
fn compressed_body(
    compression: &Compression,
    file: &Prepared,
    algorithm: Algorithm,
) -> Option<Body> {
    let compressors = &compression.compressors;
    let key = StoreKey::new(file.stamp, algorithm, compression.strength);
    if let Some(kept) = compressors.find(&key) {
        return (!kept.is_empty()).then_some(Body::Full(kept));
    }
    let bytes = match &file.content {
        Content::Memory(bytes) => bytes,
        Content::Disk(_) => {
            let source = file.whole_body();
            let length = Some(file.length);
            let stream =
                Compressed::new(source, algorithm, compression.strength, length, compressors);
            let stream = match (stream, file.cacheable) {
                (Ok(stream), true) => stream.keeping(compressors, key),
                (Ok(stream), false) => stream,
                (Err(_), _) => return None,
            };
            return Some(Body::Stream(Box::pin(stream)));
        }
    };
    let compressed = encode_all(algorithm, compression.strength, bytes).ok()?;
    let worth_it = compressed.len() < bytes.len();
    let kept = if worth_it {
        compressed
    } else {
        bytes::Bytes::new()
    };
    if file.cacheable {
        compressors.keep(key, kept.clone());
    }
    worth_it.then_some(Body::Full(kept))
}
