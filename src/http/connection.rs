//! What a request needs to know of the connection that it came by, and of who is at its other end.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use super::client_certificate::{ClientCertificate, Verification};
pub use super::reach::Entrance;

/// A connection, or what one request shows of it: through a trusted proxy come the requests of many clients.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Index into `Config::listeners`.
    pub listener: u32,
    /// The client. None on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The client speaks TLS, with us or with the proxy that we trust.
    pub secure: bool,
    /// How it came in by TLS with us. None in cleartext.
    pub entrance: Option<Entrance>,
    /// Of one request, where the configuration wants to know more.
    pub visit: Option<Rc<Visit>>,
}

/// What is known of who makes a request.
#[derive(Debug, Default)]
pub struct Visit {
    /// The address of the trusted proxy whose word on the client was taken.
    pub through: Option<IpAddr>,
    /// `X-Request-Id`.
    pub request_id: Option<HeaderValue>,
}

impl Connection {
    pub fn new(listener: u32, peer: Option<SocketAddr>, secure: bool) -> Self {
        Self {
            listener,
            peer,
            secure,
            entrance: None,
            visit: None,
        }
    }

    /// The certificate that the client has shown.
    pub fn verified(&self) -> Option<&ClientCertificate> {
        match &self.entrance.as_ref()?.client {
            Verification::Verified(client) => Some(client),
            _ => None,
        }
    }
}

/// The name whose password was right: an extension of a request from then on, and of its response.
#[derive(Clone, Debug)]
pub struct User(pub Arc<str>);
