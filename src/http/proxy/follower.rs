//! A pool whose servers are those of a service, as one thread knows it: it asks for them when their time is over, and
//! takes up what any thread has learned.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::pool::Pool;
use super::server::Servers;
use super::service::Service;
use super::standing::{PoolStanding, Standing};
use crate::config::types::Balancing;

/// While a target is down, how often it is asked whether there are others.
const DOUBTED_FOR: Duration = Duration::from_secs(2);

pub(super) struct Follower {
    /// Of the pool without servers.
    standing: Arc<PoolStanding>,
    balancing: Balancing,
    servers: Servers,
    pool: RefCell<Rc<Pool>>,
    /// Of the fleet that the pool is made of.
    version: Cell<u64>,
    /// When it was asked, and until when the answer is to be believed.
    asked: Cell<Option<(Instant, Instant)>>,
    asking: Cell<bool>,
    /// An answer came, or none will.
    settled: Notify,
}

impl Follower {
    /// Begins with the empty `pool` of `standing`.
    pub(super) fn new(
        pool: Rc<Pool>,
        balancing: Balancing,
        standing: &Arc<PoolStanding>,
        servers: &Servers,
    ) -> Rc<Self> {
        Rc::new(Self {
            standing: standing.clone(),
            balancing,
            servers: servers.clone(),
            pool: RefCell::new(pool),
            version: Cell::new(0),
            asked: Cell::default(),
            asking: Cell::default(),
            settled: Notify::default(),
        })
    }

    /// With the servers that are known; nobody waits for others. Needs a `LocalSet`.
    pub(super) fn pool(self: &Rc<Self>) -> Rc<Pool> {
        let Some(service) = &self.standing.service else {
            return self.pool.borrow().clone();
        };
        self.refresh(service);
        if service.version() != self.version.get() {
            self.take_up(service);
        }
        self.pool.borrow().clone()
    }

    /// The same, when somebody knows any server, or nobody can tell.
    pub(super) async fn first(self: &Rc<Self>) -> Rc<Pool> {
        if self.pool().is_empty() && self.asking.get() {
            self.settled.notified().await;
        }
        self.pool()
    }

    fn refresh(self: &Rc<Self>, service: &Service) {
        let now = Instant::now();
        let Some((asked, until)) = self.asked.get() else {
            return self.ask(service, false);
        };
        let doubted = || {
            let pool = self.pool.borrow();
            !pool.standing.servers.iter().all(Standing::is_up)
        };
        if now >= until {
            self.ask(service, false);
        } else if now >= asked + DOUBTED_FOR && doubted() {
            self.ask(service, true);
        }
    }

    fn ask(self: &Rc<Self>, service: &Service, doubted: bool) {
        if self.asking.replace(true) {
            return;
        }
        let (follower, name) = (self.clone(), service.name.clone());
        tokio::task::spawn_local(async move {
            let resolver = follower.servers.resolver.clone();
            let found = resolver.targets(&name, doubted).await;
            let now = Instant::now();
            let until = match (found, &follower.standing.service) {
                (Ok(known), Some(service)) => {
                    service.learn(&known.values);
                    known.until
                }
                (Err(error), _) => {
                    tracing::debug!(%error, name, "the service cannot be resolved");
                    now
                }
                (Ok(_), None) => now,
            };
            follower.asked.set(Some((now, until)));
            follower.asking.set(false);
            follower.settled.notify_waiters();
        });
    }

    fn take_up(&self, service: &Service) {
        let Some(fleet) = service.fleet() else {
            return;
        };
        let (standing, servers) = (&fleet.standing, &self.servers);
        let pool = Pool::new(self.balancing, &fleet.upstreams, standing, servers);
        let pool = Rc::new(pool.with_priorities(&fleet.priorities));
        self.version.set(fleet.version);
        drop(self.pool.replace(pool));
        self.servers.forget_unused();
    }
}
