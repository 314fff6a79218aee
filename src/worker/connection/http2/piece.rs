//! What goes out in DATA frames.

use bytes::{Buf, Bytes};

use super::departure::Mark;
use crate::worker::wire_body::WireChunk;

/// A piece of a response body, or of what a tunnel carries.
pub enum Piece {
    Body(WireChunk),
    /// The end of a body.
    Last {
        chunk: WireChunk,
        _tells: Mark,
    },
    Tunnel(Bytes),
    /// Nothing, behind everything else.
    Mark {
        _tells: Mark,
    },
}

impl Piece {
    /// For the end of a stream.
    pub const fn nothing() -> Self {
        Self::Tunnel(Bytes::new())
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Tunnel(bytes)
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match self {
            Self::Body(chunk) | Self::Last { chunk, .. } => chunk.remaining(),
            Self::Tunnel(bytes) => bytes.len(),
            Self::Mark { .. } => 0,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Body(chunk) | Self::Last { chunk, .. } => chunk.chunk(),
            Self::Tunnel(bytes) => bytes,
            Self::Mark { .. } => &[],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Body(chunk) | Self::Last { chunk, .. } => chunk.advance(count),
            Self::Tunnel(bytes) => bytes.advance(count),
            Self::Mark { .. } => {}
        }
    }
}
