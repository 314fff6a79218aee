//! Responses before the response (1xx, RFC 9110 section 15.2): what an upstream says on the way to its final word, as 103
//! (Early Hints, RFC 8297) does.

use http::{HeaderMap, StatusCode};

/// Most interim responses that a client gets for one request.
pub const MOST: usize = 16;

/// Most bytes of their heads, all together.
pub const MAX_BYTES: usize = 16 * 1024;

/// Where the client of one request takes interim responses. Whoever sends keeps to [`MOST`] and [`MAX_BYTES`], and sends
/// nothing when the final response is there.
pub trait Interim {
    /// Has it sent as soon as may be and before the final response, or else drops it whole; never waits. `status` is
    /// informational and not 101, `headers` have no fields that frame a message or concern one connection only.
    fn send(&self, status: StatusCode, headers: HeaderMap);
}
