//! One upstream server as a thread knows it: idle connections, resolved addresses.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::body::Upload;
use super::names::Name;
use super::standing::Standings;
use crate::config::types::UpstreamAddress;

const MAX_IDLE: usize = 64;
const IDLE_LIMIT: Duration = Duration::from_secs(30);
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A connection that can take the next request.
pub(super) type Sender = SendRequest<Upload>;

/// All servers that a thread knows, once for each address whatever the pools that name it.
pub(in crate::http) struct Servers {
    /// What all threads share of them.
    pub(super) standings: Arc<Standings>,
    by_address: RefCell<HashMap<UpstreamAddress, Rc<Server>>>,
}

impl Servers {
    pub(in crate::http) fn new(standings: Arc<Standings>) -> Self {
        Self {
            standings,
            by_address: RefCell::default(),
        }
    }

    pub(super) fn server(&self, address: &UpstreamAddress) -> Rc<Server> {
        let mut by_address = self.by_address.borrow_mut();
        if let Some(server) = by_address.get(address) {
            return server.clone();
        }
        let server = Rc::new(Server::new(address.clone()));
        by_address.insert(address.clone(), server.clone());
        server
    }
}

#[cfg(test)]
impl Default for Servers {
    /// Of no site.
    fn default() -> Self {
        Self::new(Standings::new(
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
    /// Newest last, since when idle.
    idle: RefCell<Vec<(Sender, Instant)>>,
    sweeping: Cell<bool>,
}

impl Server {
    fn new(address: UpstreamAddress) -> Self {
        Self {
            address,
            name: Rc::default(),
            idle: RefCell::new(Vec::new()),
            sweeping: Cell::new(false),
        }
    }

    /// The idle connection that was used last; it is the least likely to be closed by now.
    pub(super) fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        while let Some((sender, since)) = idle.pop() {
            if sender.is_ready() && since.elapsed() < IDLE_LIMIT {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps `sender` for the next request, once the connection is through with this one.
    pub(super) fn give_back(self: &Rc<Self>, mut sender: Sender) {
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

    fn keep(self: &Rc<Self>, sender: Sender) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push((sender, Instant::now()));
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
        }
        idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE_LIMIT);
        if idle.is_empty() {
            server.sweeping.set(false);
            return;
        }
    }
}
