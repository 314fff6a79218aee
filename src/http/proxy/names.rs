//! The addresses behind an upstream's name, as one thread knows them: asked for off the event loop, again when their
//! time is over. What is known is used meanwhile, and when the name cannot be resolved any more.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::types::UpstreamAddress;
use crate::dns::{Known, Resolver};
use crate::http::clock;

/// What one thread knows of one name.
pub(super) struct Name {
    /// None: it is an address, or a path.
    host: Option<Box<str>>,
    resolver: Arc<Resolver>,
    known: RefCell<Option<Known<IpAddr>>>,
    /// Why nothing is known.
    failure: Cell<Option<io::ErrorKind>>,
    asking: Cell<bool>,
    /// An answer came, or none will.
    settled: Notify,
    /// When it is to be asked for again, by [`clock::now_ms`].
    due: Cell<u64>,
    /// Counts how often addresses went.
    round: Cell<u32>,
}

/// Where a connection leads to, and in which round that was known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    pub(super) round: u32,
    pub(super) address: Option<IpAddr>,
}

impl Name {
    pub(super) fn new(address: &UpstreamAddress, resolver: Arc<Resolver>) -> Self {
        let host = match address {
            UpstreamAddress::Http { host, .. } if host.parse::<IpAddr>().is_err() => Some(host),
            _ => None,
        };
        Self {
            host: host.map(|host| host.as_str().into()),
            resolver,
            known: RefCell::default(),
            failure: Cell::default(),
            asking: Cell::default(),
            settled: Notify::default(),
            due: Cell::default(),
            round: Cell::default(),
        }
    }

    /// The addresses of `host`, which may be one itself. Needs a `LocalSet`.
    pub(super) async fn addresses(
        self: &Rc<Self>,
        host: &str,
        port: u16,
    ) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        self.refresh();
        if self.known.borrow().is_none() {
            // Whoever gives up waiting does not stop the question: the next one may have the answer at once.
            self.settled.notified().await;
        }
        let known = self.known.borrow();
        let Some(known) = &*known else {
            let failure = self.failure.get();
            return Err(failure.unwrap_or(io::ErrorKind::AddrNotAvailable).into());
        };
        let addresses = known.values.iter();
        Ok(addresses
            .map(|address| SocketAddr::new(*address, port))
            .collect())
    }

    /// Asks when nothing is known, or when it is old; nobody waits for that.
    pub(super) fn refresh(self: &Rc<Self>) {
        if self.host.is_some() && clock::now_ms() >= self.due.get() {
            self.ask(false);
        }
    }

    /// Nobody answers at these addresses: there may be others already.
    pub(super) fn doubt(self: &Rc<Self>) {
        if self.known.borrow().is_some() {
            self.ask(true);
        }
    }

    fn ask(self: &Rc<Self>, doubted: bool) {
        if self.host.is_none() || self.asking.replace(true) {
            return;
        }
        let name = self.clone();
        tokio::task::spawn_local(async move {
            let host = name.host.as_deref().unwrap_or_default();
            match name.resolver.addresses(host, doubted).await {
                Ok(known) => name.learn(known),
                Err(error) => {
                    tracing::debug!(%error, host, "the name cannot be resolved");
                    name.failure.set(Some(error.kind()));
                }
            }
            name.asking.set(false);
            name.settled.notify_waiters();
        });
    }

    fn learn(&self, found: Known<IpAddr>) {
        let left = found.until.saturating_duration_since(Instant::now());
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        self.due.set(clock::now_ms().saturating_add(left));
        let before = self.known.replace(Some(found.clone()));
        let gone = |before: Known<IpAddr>| {
            let mut before = before.values.iter();
            before.any(|address| !found.values.contains(address))
        };
        if before.is_some_and(gone) {
            self.round.set(self.round.get().wrapping_add(1));
        }
    }

    /// Another number says that addresses went.
    pub(super) fn round(&self) -> u32 {
        self.round.get()
    }

    /// Whether the name still stands for that.
    pub(super) fn has(&self, origin: Origin) -> bool {
        let Origin { round, address } = origin;
        let (Some(address), true) = (address, round != self.round.get()) else {
            return true;
        };
        let known = self.known.borrow();
        known.as_ref().is_none_or(|it| it.values.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name_server::{NameServer, address};
    use crate::http::testing::{eventually, run};

    async fn ask(name: &Rc<Name>) -> Option<String> {
        let found = name.addresses("app.test", 80).await.ok()?;
        Some(found[0].to_string())
    }

    fn start() -> (NameServer, Rc<Name>) {
        let server = NameServer::start();
        let resolver = Resolver::new(vec![server.address]);
        let address = UpstreamAddress::Http {
            host: "app.test".into(),
            port: 80,
        };
        (server, Rc::new(Name::new(&address, Arc::new(resolver))))
    }

    #[test]
    fn a_change_is_taken_up_and_a_failure_changes_nothing() {
        run(async {
            let (server, name) = start();
            server.tell("app.test", 1, &[address("127.0.0.1")]);
            assert_eq!(ask(&name).await.as_deref(), Some("127.0.0.1:80"));
            let [first, second] = [1, 2].map(|last| Origin {
                round: name.round(),
                address: Some([127, 0, 0, last].into()),
            });
            server.tell("app.test", 1, &[address("127.0.0.2")]);
            eventually(async || ask(&name).await.as_deref() == Some("127.0.0.2:80")).await;
            assert!(!name.has(first) && name.has(second));
            assert!(name.has(Origin::default()), "no address, no change");
            server.fail("app.test");
            let before = server.questions("app.test");
            eventually(async || {
                assert_eq!(ask(&name).await.as_deref(), Some("127.0.0.2:80"));
                server.questions("app.test") > before
            })
            .await;
            assert_eq!(ask(&name).await.as_deref(), Some("127.0.0.2:80"));
        });
    }

    #[test]
    fn a_name_in_doubt_is_asked_for_before_its_time() {
        run(async {
            let (server, name) = start();
            server.tell("app.test", 300, &[address("127.0.0.1")]);
            assert!(ask(&name).await.is_some());
            server.tell("app.test", 300, &[address("127.0.0.2")]);
            eventually(async || {
                name.doubt();
                ask(&name).await.as_deref() == Some("127.0.0.2:80")
            })
            .await;
        });
    }

    #[test]
    fn the_first_question_is_asked_once_for_all_and_goes_on_when_nobody_waits() {
        run(async {
            let (server, name) = start();
            tokio::select! {
                biased;
                _ = ask(&name) => panic!("nobody can know yet"),
                () = std::future::ready(()) => {}
            }
            server.tell("app.test", 60, &[address("127.0.0.1")]);
            let (one, other) = tokio::join!(ask(&name), ask(&name));
            assert!(one.is_some() && other.is_some());
            assert_eq!(server.questions("app.test"), 2);
        });
    }
}
