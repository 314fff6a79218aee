//! How large the head of a request may be.

use super::Performance;

/// Limits of a request's head, over HTTP/1 and HTTP/2 alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head as HTTP/1.1 writes it, from the request line to the empty line (431 beyond it).
    pub size: u32,
    /// Header fields (431 beyond it).
    pub fields: u32,
    /// Bytes of the request target (414 beyond it).
    pub target: u32,
}

impl HeadLimits {
    /// The largest `size` that a configuration can ask for: a connection holds twice as much while a head comes.
    pub const LARGEST_SIZE: u32 = 256 << 10;
    /// The most `fields`.
    pub const MOST_FIELDS: u32 = 1000;
    /// The longest `target`. Beyond 64 KiB no parser of ours takes it; what is less is room for a route that rewrites it.
    pub const LONGEST_TARGET: u32 = 60 << 10;
}

impl Performance {
    /// How large the head of a request may be.
    pub fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            size: self.max_header_size,
            fields: self.max_headers,
            target: self.max_uri_length,
        }
    }
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            size: 32 << 10,
            fields: 100,
            target: 32 << 10,
        }
    }
}
