//! The addresses behind an upstream's name, as one thread knows them: asked for off the event loop, again when their
//! time is over. What is known is used meanwhile, and when the name cannot be resolved any more.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dns::{Known, Resolver};

/// After a change of addresses, how often idle connections are closed: those to old addresses are among them.
const CLEARINGS: u8 = 6;

/// What one thread knows of one name.
pub(super) struct Name {
    resolver: Arc<Resolver>,
    known: RefCell<Option<Known<IpAddr>>>,
    /// Why nothing is known.
    failure: Cell<Option<io::ErrorKind>>,
    asking: Cell<bool>,
    /// An answer came, or none will.
    settled: Notify,
    clearings: Cell<u8>,
}

impl Name {
    pub(super) fn new(resolver: Arc<Resolver>) -> Self {
        Self {
            resolver,
            known: RefCell::default(),
            failure: Cell::default(),
            asking: Cell::default(),
            settled: Notify::default(),
            clearings: Cell::default(),
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
        self.refresh(host);
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
    pub(super) fn refresh(self: &Rc<Self>, host: &str) {
        let known = self.known.borrow();
        let fresh = known.as_ref().is_some_and(|it| Instant::now() < it.until);
        if !fresh {
            self.ask(host, false);
        }
    }

    /// Nobody answers at these addresses: there may be others already.
    pub(super) fn doubt(self: &Rc<Self>, host: &str) {
        if self.known.borrow().is_some() {
            self.ask(host, true);
        }
    }

    fn ask(self: &Rc<Self>, host: &str, doubted: bool) {
        if self.asking.replace(true) {
            return;
        }
        let (name, host) = (self.clone(), host.to_owned());
        tokio::task::spawn_local(async move {
            match name.resolver.addresses(&host, doubted).await {
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

    /// Whether idle connections should be closed now, as some may lead to an address that is no longer one.
    pub(super) fn take_clearing(&self) -> bool {
        let left = self.clearings.get();
        self.clearings.set(left.saturating_sub(1));
        left > 0
    }

    fn learn(&self, found: Known<IpAddr>) {
        let before = self.known.replace(Some(found.clone()));
        let gone = |before: Known<IpAddr>| {
            let mut before = before.values.iter();
            before.any(|address| !found.values.contains(address))
        };
        if before.is_some_and(gone) {
            self.clearings.set(CLEARINGS);
        }
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
        (server, Rc::new(Name::new(Arc::new(resolver))))
    }

    #[test]
    fn a_change_is_taken_up_and_a_failure_changes_nothing() {
        run(async {
            let (server, name) = start();
            server.tell("app.test", 1, &[address("127.0.0.1")]);
            assert_eq!(ask(&name).await.as_deref(), Some("127.0.0.1:80"));
            assert!(!name.take_clearing());
            server.tell("app.test", 1, &[address("127.0.0.2")]);
            eventually(async || ask(&name).await.as_deref() == Some("127.0.0.2:80")).await;
            assert!(name.take_clearing());
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
                name.doubt("app.test");
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
