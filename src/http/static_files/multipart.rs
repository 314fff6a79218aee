//! Several ranges in one response: `multipart/byteranges`, RFC 9110 section 14.6.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::prepared::Prepared;
use super::range::Part;
use crate::http::body::{Body, Chunk};

/// 206 with `parts` of `file`; their bytes are sent as those of the whole file would be.
pub(super) fn respond_parts(file: &Prepared, parts: &[Part]) -> Response<Body> {
    let boundary = boundary();
    let kind = file.headers.get(CONTENT_TYPE);
    let mut chunks = VecDeque::with_capacity(2 * parts.len() + 1);
    for (index, part) in parts.iter().enumerate() {
        let head = part_head(index > 0, &boundary, kind, *part, file.length);
        chunks.push_back(Chunk::Bytes(head));
        chunks.push_back(file.chunk(*part));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    chunks.push_back(Chunk::Bytes(Bytes::from(end)));
    let length: u64 = chunks.iter().map(Chunk::length).sum();
    let mut response = Response::new(Body::Chunks(chunks));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    *response.headers_mut() = head(file, &boundary, length);
    response
}

fn head(file: &Prepared, boundary: &str, length: u64) -> HeaderMap {
    let mut headers = file.headers.clone();
    let kind = format!("multipart/byteranges; boundary={boundary}");
    let kind = HeaderValue::from_str(&kind).expect("a boundary is hexadecimal");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    // Each part has its own, the whole has none.
    headers.remove(CONTENT_RANGE);
    headers
}

fn part_head(
    ends_another: bool,
    boundary: &str,
    kind: Option<&HeaderValue>,
    part: Part,
    whole: u64,
) -> Bytes {
    let mut head = Vec::with_capacity(192);
    if ends_another {
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"--");
    head.extend_from_slice(boundary.as_bytes());
    if let Some(kind) = kind {
        head.extend_from_slice(b"\r\nContent-Type: ");
        head.extend_from_slice(kind.as_bytes());
    }
    head.extend_from_slice(b"\r\nContent-Range: ");
    head.extend_from_slice(part.content_range(whole).as_bytes());
    head.extend_from_slice(b"\r\n\r\n");
    Bytes::from(head)
}

/// Another for every response, so that no file can hold it but by a chance that never comes.
fn boundary() -> String {
    let state = RandomState::new();
    format!("{:016x}{:016x}", state.hash_one(1), state.hash_one(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_all_different() {
        let first = boundary();
        assert_eq!(first.len(), 32);
        assert_ne!(first, boundary());
    }
}
