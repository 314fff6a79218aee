//! HTTP/2 to upstreams (RFC 9113): few connections of a thread, many requests on each. The `h2` crate has the protocol,
//! this room what a proxy does with it.
//!
//! - `connections`: who has room for one more request; each has a task that moves its frames and ends with it
//! - `call`: sends a request and waits for the head of its response; `request`: the head as it is sent
//! - `outgoing`: a request's body on its way; `rest`: what of it is still to be sent when the response is there already
//! - `incoming`: a response's body as it comes
//! - `fault`: why there is no sound response
//! - `watched`: the bytes below, and what they tell
mod call;
mod connections;
mod fault;
mod incoming;
mod outgoing;
mod request;
mod rest;
mod watched;

pub(super) use call::Call;
pub(super) use connections::{Lease, Multiplexed};
pub(super) use fault::Ended;
pub(super) use incoming::Incoming;
pub(super) use request::head;
