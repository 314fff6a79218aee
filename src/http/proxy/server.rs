//! One upstream server as a thread knows it: idle connections, resolved addresses.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use super::http1::Link;
use super::http2::Multiplexed;
use super::names::Name;
use super::sender::Sender;
use super::standing::Standings;
use super::tls::TlsClients;
use crate::config::types::{Upstream, UpstreamAddress, UpstreamProtocol};
use crate::dns::Resolver;
use crate::http::clock;

const MAX_IDLE: usize = 64;
const IDLE_LIMIT: Duration = Duration::from_secs(30);
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// An HTTP/1.1 connection between two requests.
struct Idle {
    link: Link,
    /// By [`clock::now_ms`].
    since: u64,
}

impl Idle {
    fn is_sound(&self) -> bool {
        let idle = clock::now_ms().saturating_sub(self.since);
        u128::from(idle) < IDLE_LIMIT.as_millis() && self.link.is_quiet()
    }
}

type Known = HashMap<(UpstreamAddress, UpstreamProtocol), Rc<Server>>;

/// All servers that a thread knows, once for each address and protocol whatever the pools that name it.
#[derive(Clone)]
pub(in crate::http) struct Servers {
    /// What all threads share of them.
    pub(super) standings: Arc<Standings>,
    tls: Arc<TlsClients>,
    /// What the names of the servers stand for.
    pub(super) resolver: Arc<Resolver>,
    known: Rc<RefCell<Known>>,
}

impl Servers {
    pub(in crate::http) fn new(
        standings: Arc<Standings>,
        tls: Arc<TlsClients>,
        resolver: Arc<Resolver>,
    ) -> Self {
        Self {
            standings,
            tls,
            resolver,
            known: Rc::default(),
        }
    }

    pub(super) fn server(&self, upstream: &Upstream) -> Rc<Server> {
        let identity = (upstream.address.clone(), upstream.protocol.clone());
        let mut known = self.known.borrow_mut();
        let server = known.entry(identity).or_insert_with_key(|identity| {
            let (address, protocol) = identity.clone();
            let name = Name::new(&address, self.resolver.clone());
            Rc::new(Server::new(address, name, protocol, self.tls.clone()))
        });
        server.clone()
    }

    /// Closes the idle connections of servers that no pool has any more.
    pub(super) fn forget_unused(&self) {
        let mut known = self.known.borrow_mut();
        known.retain(|_, server| Rc::strong_count(server) > 1);
    }
}

#[cfg(test)]
impl Servers {
    /// Without certificates.
    pub(super) fn of(standings: Arc<Standings>) -> Self {
        let config = crate::http::testing::config(vec![]);
        let tls = TlsClients::new(Arc::new(config));
        Self::new(standings, Arc::new(tls), Arc::new(Resolver::new(vec![])))
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
    /// Newest last.
    idle: RefCell<Vec<Idle>>,
    pub(super) multiplexed: Multiplexed,
    sweeping: Cell<bool>,
    /// Of the name, when connections to what it no longer stands for were closed last.
    round: Cell<u32>,
}

impl Server {
    fn new(
        address: UpstreamAddress,
        name: Name,
        protocol: UpstreamProtocol,
        tls: Arc<TlsClients>,
    ) -> Self {
        Self {
            address,
            name: Rc::new(name),
            protocol,
            tls,
            idle: RefCell::new(Vec::new()),
            multiplexed: Multiplexed::default(),
            sweeping: Cell::new(false),
            round: Cell::new(0),
        }
    }

    /// A place on an HTTP/2 connection, or the idle connection that was used last; it is the least likely to be closed
    /// by now.
    pub(super) fn take_idle(&self) -> Option<Sender> {
        self.follow_name();
        if let Some(lease) = self.multiplexed.take() {
            return Some(Sender::Http2(lease));
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(newest) = idle.pop() {
            if newest.is_sound() {
                return Some(Sender::Http1(newest.link));
            }
        }
        None
    }

    /// Asks for the name when that is due, and closes idle connections to addresses that it lost.
    fn follow_name(&self) {
        self.name.refresh();
        if self.round.replace(self.name.round()) != self.name.round() {
            let mut idle = self.idle.borrow_mut();
            idle.retain(|idle| self.name.has(idle.link.origin));
            self.multiplexed.retain(|origin| self.name.has(origin));
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(self: &Rc<Self>, link: Link) {
        if !self.name.has(link.origin) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        let since = clock::now_ms();
        idle.push(Idle { link, since });
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
        server.follow_name();
        let mut idle = server.idle.borrow_mut();
        idle.retain(Idle::is_sound);
        if !server.multiplexed.sweep(IDLE_LIMIT) && idle.is_empty() {
            server.sweeping.set(false);
            return;
        }
    }
}
