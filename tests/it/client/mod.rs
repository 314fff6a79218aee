//! The client that counts: it retries nothing, hides nothing, and tells every fate of a request apart.
//!
//! - [`tally`]: what can become of a request, and the sums
//! - [`transport`]: TCP or TLS, and whether the peer has hung up already
//! - [`wire`]: an HTTP/1 response read from a raw socket
//! - [`frames`], [`http2`]: the same over HTTP/2, with an eye on GOAWAY
//! - [`content`]: whether a body is wholly of one configuration
//! - [`http1`]: one client's loop over HTTP/1
//! - [`storm`]: many clients at once
pub mod content;
pub mod frames;
pub mod http1;
pub mod http2;
pub mod storm;
pub mod tally;
pub mod transport;
pub mod wire;
