//! What a request needs to know of the connection that it came by, and of who is at its other end.

use std::cell::OnceCell;
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
    /// The client's address in letters, when it was needed.
    written: OnceCell<(IpAddr, HeaderValue)>,
}

/// What is known of who makes a request.
#[derive(Debug, Default)]
pub struct Visit {
    /// The address of the trusted proxy whose word on the client was taken.
    pub through: Option<IpAddr>,
    /// It was in `Forwarded`, not in `X-Forwarded-For`.
    pub by_forwarded: bool,
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
            written: OnceCell::new(),
        }
    }

    /// The client's address as a field's value.
    pub(super) fn written_address(&self) -> Option<HeaderValue> {
        let address = self.peer?.ip().to_canonical();
        let write = || HeaderValue::try_from(address.to_string()).ok();
        if self.written.get().is_none() {
            // Nobody else sets it meanwhile.
            let _ = self.written.set((address, write()?));
        }
        match self.written.get() {
            // What a request shows of its connection may have another address.
            Some((known, value)) if *known == address => Some(value.clone()),
            _ => write(),
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
