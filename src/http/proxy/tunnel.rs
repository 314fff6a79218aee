//! What is left of an exchange that switched protocols: HTTP has ended, bytes go on (RFC 9110 section 7.8).

use std::time::Duration;

use bytes::Bytes;

use super::Stream;
use super::pool::Place;
use crate::http::body::Body;

/// The upstream's half of a tunnel; the client's belongs to whoever sends the response that this comes with.
pub struct Tunnel {
    pub upstream: Stream,
    /// What the upstream said already in the new protocol.
    pub early: Bytes,
    /// How long nothing may be said in either direction.
    pub idle: Duration,
    /// WebSocket (RFC 6455): it has a way to say goodbye.
    pub websocket: bool,
    /// None when another worker has it in its count.
    pub occupancy: Option<Occupancy>,
}

/// The tunnel counts as a request of its upstream as long as this lives.
pub struct Occupancy {
    _place: Place,
}

impl Tunnel {
    /// As a response's body.
    pub(super) fn at(self, place: Place) -> Body {
        let occupancy = Some(Occupancy { _place: place });
        Body::Tunnel(Box::new(Self { occupancy, ..self }))
    }
}
