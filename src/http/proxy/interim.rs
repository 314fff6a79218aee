//! Interim responses of upstreams on their way to a client (RFC 9110 section 15.2, RFC 8297).

use std::cell::Cell;
use std::rc::Rc;

use http::header::{CONTENT_LENGTH, TRAILER};
use http::{HeaderMap, Response, Version};
use tokio::time::Instant;

use super::headers;
use crate::config::types::InterimResponses;
use crate::http::interim::{Interim, MAX_BYTES, MOST};

/// Passes on what upstreams say before their answer to one request.
pub(super) struct Relay {
    /// None when the client understands nothing of the kind, or may not.
    client: Option<Rc<dyn Interim>>,
    passed: Cell<usize>,
    bytes: Cell<usize>,
    /// When an upstream said something last.
    heard: Cell<Option<Instant>>,
}

/// Whoever reads a response tells here what comes before it, but for 100 and 101.
pub(super) type Hear<'a> = &'a dyn Fn(Response<()>);

impl Relay {
    pub(super) fn new(
        client: Option<Rc<dyn Interim>>,
        wanted: InterimResponses,
        version: Version,
    ) -> Self {
        let passes = match wanted {
            InterimResponses::All => true,
            InterimResponses::Http2 => version == Version::HTTP_2,
            InterimResponses::None => false,
        };
        Self {
            client: client.filter(|_| passes),
            passed: Cell::new(0),
            bytes: Cell::new(0),
            heard: Cell::new(None),
        }
    }

    /// When an upstream said something last.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.heard.get()
    }

    /// Passes on what has no hop-by-hop fields any more. `rewrite` does to its headers what is done to those of the answer.
    pub(super) fn pass(&self, interim: Response<()>, rewrite: impl FnOnce(&mut HeaderMap)) {
        self.heard.set(Some(Instant::now()));
        let Some(client) = &self.client else {
            return;
        };
        let (mut parts, ()) = interim.into_parts();
        // There is no body that these would speak of.
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove(TRAILER);
        headers::rewrite_response(&mut parts.headers, parts.version);
        rewrite(&mut parts.headers);
        if self.takes(&parts.headers) {
            client.send(parts.status, parts.headers);
        }
    }

    /// Whether a client has room for one more.
    fn takes(&self, headers: &HeaderMap) -> bool {
        let length = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            // The colon, a blank and the line's end, as HTTP/1.1 has them.
            name.as_str().len() + value.len() + 4
        };
        let bytes = self.bytes.get() + headers.iter().map(length).sum::<usize>();
        let takes = self.passed.get() < MOST && bytes <= MAX_BYTES;
        if takes {
            self.passed.set(self.passed.get() + 1);
            self.bytes.set(bytes);
        }
        takes
    }
}
