//! Why there is no sound response.

use std::io;

use super::super::upload::Upload;
use crate::http::body::BodyError;

/// What an upstream said that is no HTTP/1.1, or not of a kind that we pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http::proxy) enum Fault {
    #[error("it sent a malformed head")]
    Head,
    #[error("the head of its response is larger than 64KB, or has more than 100 fields")]
    HeadTooLarge,
    #[error("it sends interim responses without end")]
    Interim,
    #[error("it does not say clearly how long its response is")]
    Framing,
    #[error("it sent a malformed chunk")]
    Chunk,
    #[error("it sent malformed trailers")]
    Trailers,
    #[error("it closed the connection within its response")]
    Truncated,
}

/// Why a request has no response.
pub(in crate::http::proxy) enum Broken {
    /// Nothing of it was sent: here it is.
    Unsent(Upload),
    /// The connection ended before the upstream said anything.
    Silent(io::Error),
    /// The upstream's word, or the request's body, is not to be continued.
    Unsound(BodyError),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Unsound(fault.into())
    }
}
