//! HTTP/1.1 to upstreams (RFC 9112): one request at a time on a connection, which is driven by the future of that very
//! request, so that nothing has to be handed from task to task.
//!
//! - `link`: a connection; between two requests nobody watches it, so it is looked at before the next one
//! - `call`: sends a request and waits for the head of its response
//! - `request`: the head as it is sent; `outgoing`: head and body on their way
//! - `response` and `known`: the head as it comes; `incoming`: the body that follows; `chunks`: its chunked form
//! - `rest`: what of a request is still to be sent when its response is there already
//! - `spare`: memory for headers, used again
//! - `fault`: why there is no sound response
mod call;
mod chunks;
#[cfg(any(test, fuzzing))]
mod differential;
mod fault;
mod incoming;
mod known;
mod link;
mod outgoing;
mod request;
mod response;
mod rest;
mod spare;
#[cfg(test)]
mod tests;

pub(super) use call::{Call, send};
#[cfg(fuzzing)]
pub(in crate::http) use differential::compare;
pub(super) use fault::{Broken, Fault};
pub(super) use incoming::Incoming;
pub(super) use link::Link;
pub(super) use request::{Extent, Message};
pub(super) use spare::keep as keep_headers;
