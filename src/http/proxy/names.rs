//! The addresses behind an upstream's name: asked for by the system's resolver, off the event loop, again and again.
//! What is known is used meanwhile, and when the name cannot be resolved any more.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

/// How long addresses are believed. (Resolvers that cache know the TTL; this is how soon we hear of its end.)
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// How long a failure is believed.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// After a change of addresses, how often idle connections are closed: those to old addresses are among them.
const CLEARINGS: u8 = 6;

/// Lookups at the same time, of all threads: each takes a thread of its own.
static LOOKUPS: Semaphore = Semaphore::const_new(32);

type Lookup = fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>>>>;

/// What one thread knows of one name.
pub(super) struct Name {
    lookup: Lookup,
    believed_for: Duration,
    known: RefCell<Option<(Instant, Rc<[SocketAddr]>)>>,
    /// The first lookup is one for all who wait.
    first: Mutex<()>,
    failed_at: Cell<Option<Instant>>,
    refreshing: Cell<bool>,
    clearings: Cell<u8>,
}

impl Default for Name {
    fn default() -> Self {
        Self {
            lookup: |host, port| Box::pin(look_up(host, port)),
            believed_for: BELIEVED_FOR,
            known: RefCell::default(),
            first: Mutex::default(),
            failed_at: Cell::default(),
            refreshing: Cell::default(),
            clearings: Cell::default(),
        }
    }
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let _turn = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    match found.is_empty() {
        true => Err(io::ErrorKind::AddrNotAvailable.into()),
        false => Ok(found),
    }
}

impl Name {
    /// The addresses of `host`, which may be one itself. Needs a `LocalSet`.
    pub(super) async fn addresses(
        self: &Rc<Self>,
        host: &str,
        port: u16,
    ) -> io::Result<Rc<[SocketAddr]>> {
        if let Ok(address) = host.parse() {
            return Ok([SocketAddr::new(address, port)].into());
        }
        self.refresh(host, port);
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _turn = self.first.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let failed = self.failed_at.get();
        if failed.is_some_and(|at| at.elapsed() < FAILED_FOR) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let found = (self.lookup)(host.to_owned(), port).await;
        if found.is_err() {
            self.failed_at.set(Some(Instant::now()));
        }
        Ok(self.learn(found?))
    }

    /// Asks again when what is known is old; nobody waits for that.
    pub(super) fn refresh(self: &Rc<Self>, host: &str, port: u16) {
        let old = |(at, _): &(Instant, _)| at.elapsed() >= self.believed_for;
        if !self.known.borrow().as_ref().is_some_and(old) || self.refreshing.replace(true) {
            return;
        }
        let (name, host) = (self.clone(), host.to_owned());
        tokio::task::spawn_local(async move {
            match (name.lookup)(host.clone(), port).await {
                Ok(found) => drop(name.learn(found)),
                Err(error) => {
                    tracing::debug!(%error, host, "the old addresses have to do");
                    if let Some((at, _)) = &mut *name.known.borrow_mut() {
                        *at = Instant::now();
                    }
                }
            }
            name.refreshing.set(false);
        });
    }

    /// Nobody answers at these addresses: there may be others already.
    pub(super) fn doubt(&self) {
        if let Some((at, _)) = &mut *self.known.borrow_mut() {
            *at = at.checked_sub(self.believed_for).unwrap_or(*at);
        }
    }

    /// Whether idle connections should be closed now, as some may lead to an address that is no longer one.
    pub(super) fn take_clearing(&self) -> bool {
        let left = self.clearings.get();
        self.clearings.set(left.saturating_sub(1));
        left > 0
    }

    fn known(&self) -> Option<Rc<[SocketAddr]>> {
        let known = self.known.borrow();
        known.as_ref().map(|(_, addresses)| addresses.clone())
    }

    fn learn(&self, found: Vec<SocketAddr>) -> Rc<[SocketAddr]> {
        if let Some(known) = self.known() {
            if known.iter().any(|address| !found.contains(address)) {
                self.clearings.set(CLEARINGS);
            }
        }
        let found: Rc<[SocketAddr]> = found.into();
        self.known.replace(Some((Instant::now(), found.clone())));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{eventually, run};

    thread_local! {
        static ANSWER: Cell<Option<u8>> = const { Cell::new(None) };
        static ASKED: Cell<u32> = const { Cell::new(0) };
    }

    fn name() -> Rc<Name> {
        Rc::new(Name {
            lookup: |_, port| {
                Box::pin(async move {
                    ASKED.set(ASKED.get() + 1);
                    tokio::task::yield_now().await;
                    let last = ANSWER.get().ok_or(io::ErrorKind::NotFound)?;
                    Ok(vec![SocketAddr::from(([127, 0, 0, last], port))])
                })
            },
            believed_for: Duration::ZERO,
            ..Name::default()
        })
    }

    async fn ask(name: &Rc<Name>) -> Option<String> {
        let found = name.addresses("app.test", 80).await.ok()?;
        Some(found[0].to_string())
    }

    #[test]
    fn a_change_is_taken_up_and_a_failure_changes_nothing() {
        run(async {
            let name = name();
            ANSWER.set(Some(1));
            assert_eq!(ask(&name).await.as_deref(), Some("127.0.0.1:80"));
            assert!(!name.take_clearing());
            ANSWER.set(Some(2));
            eventually(async || ask(&name).await.as_deref() == Some("127.0.0.2:80")).await;
            assert!(name.take_clearing());
            ANSWER.set(None);
            for _ in 0..5 {
                assert_eq!(ask(&name).await.as_deref(), Some("127.0.0.2:80"));
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn the_first_question_is_asked_once_for_all() {
        run(async {
            let name = name();
            ANSWER.set(None);
            ASKED.set(0);
            let all = futures_of(&name).await;
            assert!(all.iter().all(Option::is_none));
            assert_eq!(ASKED.get(), 1);
        });
    }

    async fn futures_of(name: &Rc<Name>) -> Vec<Option<String>> {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let name = name.clone();
                tokio::task::spawn_local(async move { ask(&name).await })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers
    }
}
