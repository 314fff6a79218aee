//! What tests/fuzz does with this room.

use http::header::{CONTENT_LENGTH, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use tokio::signal::unix::{SignalKind, signal};

use super::{admission, proxy, request_path};
use crate::config::types::HeadLimits;

pub use super::static_files::fuzzing::{conditions, file_path, ranges};

/// Dot segments never survive, and what has none stays as it was sent.
pub fn path(path: &str) {
    let Ok(clean) = request_path::without_dot_segments(path) else {
        return;
    };
    assert!(
        clean.starts_with('/') && clean.len() <= path.len(),
        "'{path}' became '{clean}'"
    );
    let dots = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    assert!(!clean.split('/').any(dots), "'{path}' became '{clean}'");
    assert_eq!(
        request_path::without_dot_segments(&clean).ok().as_deref(),
        Some(&*clean)
    );
}

/// Lines of a header section: whatever they say, what belongs to the hop goes, and framing and routing stay.
pub fn headers(lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(200) {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(0));
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            headers.append(name, value);
        }
    }
    let mut request = Request::new(());
    *request.headers_mut() = headers.clone();
    let host = admission::admit(&request, &HeadLimits::default()).map(str::to_owned);
    if let Ok(host) = host {
        assert!(!host.contains(['/', '@', ' ', ',']), "host '{host}'");
    }
    let length = headers.get_all(CONTENT_LENGTH).iter().count();
    proxy::fuzzing::strip(&mut headers);
    assert!(!headers.contains_key("connection") && !headers.contains_key(TE));
    assert_eq!(headers.get_all(CONTENT_LENGTH).iter().count(), length);
}

/// What an upstream says in pieces: for hyper it is the same response, or none.
pub fn response(head: bool, piece: usize, bytes: &[u8]) {
    let pieces: Vec<&[u8]> = bytes.chunks(piece).take(2000).collect();
    let method = if head { Method::HEAD } else { Method::GET };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        // libFuzzer's main does not ignore SIGPIPE, as Rust's own does, and a reader may leave early.
        let _ignored = signal(SignalKind::pipe());
        proxy::fuzzing::compare(&pieces, method).await;
    });
}
