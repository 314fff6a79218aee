//! One upstream server as a thread knows it: idle connections, resolved addresses.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::http2::Multiplexed;
use super::names::Name;
use super::sender::Sender;
use super::standing::Standings;
use super::tls::TlsClients;
use super::upload::Upload;
use crate::config::types::{Upstream, UpstreamAddress, UpstreamProtocol};

const MAX_IDLE: usize = 64;
const IDLE_LIMIT: Duration = Duration::from_secs(30);
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// An HTTP/1.1 connection between two requests.
type Idle = SendRequest<Upload>;

/// All servers that a thread knows, once for each address and protocol whatever the pools that name it.
pub(in crate::http) struct Servers {
    /// What all threads share of them.
    pub(super) standings: Arc<Standings>,
    tls: Arc<TlsClients>,
    known: RefCell<HashMap<(UpstreamAddress, UpstreamProtocol), Rc<Server>>>,
}

impl Servers {
    pub(in crate::http) fn new(standings: Arc<Standings>, tls: Arc<TlsClients>) -> Self {
        Self {
            standings,
            tls,
            known: RefCell::default(),
        }
    }

    pub(super) fn server(&self, upstream: &Upstream) -> Rc<Server> {
        let identity = (upstream.address.clone(), upstream.protocol.clone());
        let mut known = self.known.borrow_mut();
        let server = known.entry(identity).or_insert_with_key(|identity| {
            let (address, protocol) = identity.clone();
            Rc::new(Server::new(address, protocol, self.tls.clone()))
        });
        server.clone()
    }
}

#[cfg(test)]
impl Servers {
    /// Without certificates.
    pub(super) fn of(standings: Arc<Standings>) -> Self {
        let config = crate::http::testing::config(vec![]);
        Self::new(standings, Arc::new(TlsClients::new(Arc::new(config))))
    }
}

#[cfg(test)]
impl Default for Servers {
    /// Of no site.
    fn default() -> Self {
        Self::of(Standings::new(
            0,
            crate::metrics::lasting::Lasting::detached(),
            |_| (),
        ))
    }
}

pub(super) struct Server {
    pub(super) address: UpstreamAddress,
    /// What its host name stands for.
    pub(super) name: Rc<Name>,
    pub(super) protocol: UpstreamProtocol,
    pub(super) tls: Arc<TlsClients>,
    /// Newest last, since when idle.
    idle: RefCell<Vec<(Idle, Instant)>>,
    pub(super) multiplexed: Multiplexed,
    sweeping: Cell<bool>,
}

impl Server {
    fn new(address: UpstreamAddress, protocol: UpstreamProtocol, tls: Arc<TlsClients>) -> Self {
        Self {
            address,
            name: Rc::default(),
            protocol,
            tls,
            idle: RefCell::new(Vec::new()),
            multiplexed: Multiplexed::default(),
            sweeping: Cell::new(false),
        }
    }

    /// A place on an HTTP/2 connection, or the idle connection that was used last; it is the least likely to be closed
    /// by now.
    pub(super) fn take_idle(&self) -> Option<Sender> {
        if let Some(lease) = self.multiplexed.take() {
            return Some(Sender::Http2(lease));
        }
        let mut idle = self.idle.borrow_mut();
        while let Some((sender, since)) = idle.pop() {
            if sender.is_ready() && since.elapsed() < IDLE_LIMIT {
                return Some(Sender::Http1(sender));
            }
        }
        None
    }

    /// Keeps `sender` for the next request, once the connection is through with this one.
    pub(super) fn give_back(self: &Rc<Self>, sender: Sender) {
        let Sender::Http1(mut sender) = sender else {
            return;
        };
        if sender.is_ready() {
            self.keep(sender);
        } else if !sender.is_closed() {
            let server = self.clone();
            // Ends with the connection: its request body has the client's time limits.
            tokio::task::spawn_local(async move {
                if sender.ready().await.is_ok() {
                    server.keep(sender);
                }
            });
        }
    }

    fn keep(self: &Rc<Self>, sender: Idle) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push((sender, Instant::now()));
        self.keep_sweeping();
    }

    /// Closes, from now on, connections that idle.
    pub(super) fn keep_sweeping(self: &Rc<Self>) {
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }
}

/// Closes connections that idled too long; ends when none is left.
async fn sweep(server: Weak<Server>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(server) = server.upgrade() else {
            return;
        };
        if let UpstreamAddress::Http { host, port } = &server.address {
            server.name.refresh(host, *port);
        }
        let mut idle = server.idle.borrow_mut();
        if server.name.take_clearing() {
            idle.clear();
            server.multiplexed.forget();
        }
        idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE_LIMIT);
        if !server.multiplexed.sweep(IDLE_LIMIT) && idle.is_empty() {
            server.sweeping.set(false);
            return;
        }
    }
}
