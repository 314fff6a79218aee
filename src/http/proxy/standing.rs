//! What the threads of a worker share of their upstream servers: who has how many requests, who is down, who waits.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::budget::Budget;
use super::health;
use super::service::Service;
use super::waiting::Waiting;
use crate::config::types::{Config, Pool, SiteIndex, Upstream};
use crate::metrics::lasting::Lasting;
use crate::metrics::upstreams::{Cause, Condition, Identity, Slot, State, Word, now};

/// After so many requests of a server the budget for retries hears of them.
const REQUESTS_NOTED: u64 = 256;

/// All pools of all sites, each made when it is first asked for.
pub struct Standings {
    /// Where what outlives this worker is kept.
    pub(super) lasting: Lasting<'static>,
    sites: Box<[OnceLock<SiteStandings>]>,
    /// Some thread checks the health of the servers.
    checking: AtomicBool,
    tell: Tell,
}

/// The pools of a site, in the order of its configuration.
pub(super) type SiteStandings = Arc<[Arc<PoolStanding>]>;

/// Told when a server goes down or comes back.
pub type Tell = fn(&Change<'_>);

/// A server went down or came back.
pub struct Change<'a> {
    pub site: &'a str,
    pub pool: &'a str,
    /// Its address.
    pub upstream: &'a str,
    /// None: it is back.
    pub down: Option<Cause>,
}

impl Standings {
    pub fn new(sites: usize, lasting: Lasting<'static>, tell: Tell) -> Arc<Self> {
        Arc::new(Self {
            lasting,
            sites: (0..sites).map(|_| OnceLock::new()).collect(),
            checking: AtomicBool::new(false),
            tell,
        })
    }

    /// True for the first one who asks: the health checks are its task.
    pub(in crate::http) fn claim_checks(&self) -> bool {
        !self.checking.swap(true, Ordering::Relaxed)
    }

    pub(super) fn site(&self, config: &Config, index: SiteIndex) -> Option<SiteStandings> {
        let site = config.sites.get(index as usize)?;
        let proxy = site.proxy.as_ref()?;
        let make = |pool: &Pool| {
            let ground = Ground {
                lasting: self.lasting,
                tell: self.tell,
                checked: proxy.health_check.is_some(),
            };
            Arc::new(PoolStanding::new(ground, &site.name, pool))
        };
        let standings = self.sites.get(index as usize)?;
        Some(
            standings
                .get_or_init(|| proxy.pools.iter().map(make).collect())
                .clone(),
        )
    }
}

/// What the standing of a pool is made on.
#[derive(Clone, Copy)]
pub(super) struct Ground {
    lasting: Lasting<'static>,
    tell: Tell,
    checked: bool,
}

/// One pool.
pub(super) struct PoolStanding {
    /// It has no servers of its own, but those of a service.
    pub(super) service: Option<Service>,
    site: String,
    name: String,
    pub(super) servers: Box<[Standing]>,
    /// Some server has `max_conns`.
    pub(super) limited: bool,
    pub(super) waiting: Waiting,
    pub(super) budget: Budget,
    /// How many threads have begun with this pool: each begins elsewhere.
    pub(super) threads: AtomicUsize,
    tell: Tell,
}

/// One server of a pool.
pub(super) struct Standing {
    active: Active,
    limit: u32,
    slot: Slot<'static>,
    pub(super) identity: Identity,
    pub(super) address: String,
    /// Somebody checks its health.
    checked: bool,
}

/// Requests in flight, on a cache line of their own: it changes hands among the threads.
#[repr(align(64))]
struct Active(AtomicU32);

impl PoolStanding {
    pub(super) fn new(ground: Ground, site: &str, pool: &Pool) -> Self {
        let make = |upstream: &Upstream| {
            let address = upstream.address.to_string();
            let identity = Identity::new(site, &pool.name, &address);
            Standing {
                active: Active(AtomicU32::new(0)),
                limit: upstream.max_conns.unwrap_or(u32::MAX),
                slot: Slot::claim(ground.lasting.upstreams(), identity),
                identity,
                address,
                checked: ground.checked,
            }
        };
        let service = Service::of(pool, site, ground);
        let own = pool.servers.iter().filter(|_| service.is_none());
        let servers: Box<[Standing]> = own.map(make).collect();
        let requests = servers.iter().map(Standing::requests).sum();
        Self {
            service,
            site: site.to_owned(),
            name: pool.name.clone(),
            servers,
            limited: pool.servers.iter().any(|it| it.max_conns.is_some()),
            waiting: Waiting::default(),
            budget: Budget::new(now(), requests),
            threads: AtomicUsize::new(0),
            tell: ground.tell,
        }
    }

    /// The same for all workers that have this pool.
    pub(super) fn identity(&self) -> String {
        format!("{}\0{}", self.site, self.name)
    }

    /// Requests that this pool's servers ever got.
    pub(super) fn requests(&self) -> u64 {
        self.servers.iter().map(Standing::requests).sum()
    }

    /// Server number `index` gets a request.
    pub(super) fn count_request(&self, index: usize, retry: bool) {
        let before = self.servers[index].count_request(retry);
        if before % REQUESTS_NOTED == 0 {
            self.budget.note(now(), self.requests());
        }
    }

    /// A request of server number `index` is over; somebody may wait for that.
    pub(super) fn leave(self: &Arc<Self>, index: usize) {
        self.servers[index].leave();
        if self.limited && !self.waiting.is_empty() {
            self.admit_waiting(index);
        }
    }

    /// After a response of server number `index`.
    pub(super) fn note_answer(&self, index: usize, trial: bool) {
        let server = &self.servers[index];
        // Nothing to forgive: the common case.
        if server.slot.value(Word::State) == 0 {
            return;
        }
        let now = now();
        server.change(
            |state| health::answered(state, now, trial),
            |old, new| {
                let returned =
                    old.condition == Condition::Out && new.condition == Condition::Rising;
                let forgiven = old.condition == Condition::Rising && new.condition == Condition::Up;
                if (returned && old.level == 1) || (forgiven && old.level > 1) {
                    self.tell_change(server, None);
                }
            },
        );
    }

    /// After a request that server number `index` did not answer.
    pub(super) fn note_failure(&self, index: usize, cause: Cause, trial: bool) {
        let server = &self.servers[index];
        server
            .slot
            .word(Word::Failures)
            .fetch_add(1, Ordering::Relaxed);
        let now = now();
        let serves = |(other, it): (usize, &Standing)| other != index && it.share(|| now) > 0;
        let last = !self.servers.iter().enumerate().any(serves);
        server.change(
            |state| health::failed(state, now, cause, trial, last),
            |old, new| {
                let ejected = old.condition != Condition::Out && new.condition == Condition::Out;
                if ejected {
                    server.count_ejection(cause);
                }
                if ejected && new.level == 1 {
                    self.tell_change(server, Some(cause));
                }
            },
        );
    }

    /// Health checks find server number `index` well.
    pub(super) fn note_good_check(&self, index: usize) {
        let server = &self.servers[index];
        if server.slot.value(Word::State) == 0 {
            return;
        }
        let (now, cause) = (now(), server.slot.cause());
        server.change(
            |state| health::checked_well(state, now, cause),
            |old, new| {
                if !old.is_healthy() && new.is_healthy() {
                    self.tell_change(server, None);
                }
            },
        );
    }

    /// Health checks find server number `index` ill.
    pub(super) fn note_bad_check(&self, index: usize, cause: Cause) {
        let server = &self.servers[index];
        let ill = |state| State {
            failed_checks: true,
            ..state
        };
        server.change(ill, |old, _| {
            if old.is_healthy() {
                server.count_ejection(cause);
                self.tell_change(server, Some(cause));
            }
        });
    }

    fn tell_change(&self, server: &Standing, down: Option<Cause>) {
        let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let at = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        server.slot.word(Word::Changed).store(at, Ordering::Relaxed);
        (self.tell)(&Change {
            site: &self.site,
            pool: &self.name,
            upstream: &server.address,
            down,
        });
    }
}

impl Standing {
    pub(super) fn active(&self) -> u32 {
        self.active.0.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.active.0.load(Ordering::SeqCst) >= self.limit
    }

    /// Begins a request, if the limit allows one more.
    pub(super) fn enter(&self) -> bool {
        if self.limit == u32::MAX {
            self.active.0.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let more = |active: u32| (active < self.limit).then_some(active + 1);
        self.active
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    pub(super) fn leave(&self) {
        // Whoever waits looks at this number after he has said that he waits.
        self.active.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn count_ejection(&self, cause: Cause) {
        let ejections = self.slot.word(Word::Ejections);
        ejections.fetch_add(1, Ordering::Relaxed);
        let word = self.slot.word(Word::Cause);
        word.store(cause as u64, Ordering::Relaxed);
    }

    /// That it ever got, from all workers.
    pub(super) fn requests(&self) -> u64 {
        self.slot.value(Word::Requests)
    }

    /// Says how many there were before.
    fn count_request(&self, retry: bool) -> u64 {
        if retry {
            let retries = self.slot.word(Word::Retries);
            retries.fetch_add(1, Ordering::Relaxed);
        }
        let requests = self.slot.word(Word::Requests);
        requests.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> State {
        self.of_concern(self.slot.state())
    }

    /// The part of its weight that it has now: 0 to [`health::WHOLE`].
    pub(super) fn share(&self, now: impl FnOnce() -> u64) -> i64 {
        match self.slot.value(Word::State) {
            0 => health::WHOLE,
            word => health::share(self.of_concern(State::unpack(word)), now()),
        }
    }

    /// Whether there is nothing to find out.
    pub(super) fn is_up(&self) -> bool {
        self.slot.value(Word::State) == 0 || self.state().condition != Condition::Out
    }

    /// When it may be tried while the whole pool is down.
    pub(super) fn trial_at(&self) -> Option<u64> {
        health::trial_at(self.state(), true)
    }

    /// Claims the one request that may show whether it is back.
    pub(super) fn claim_trial(&self, now: u64, alone: bool) -> bool {
        let word = self.slot.word(Word::State);
        let claim = |word: u64| {
            let state = self.of_concern(State::unpack(word));
            let due = health::trial_at(state, alone).is_some_and(|at| at <= now);
            due.then(|| health::on_trial(state, now).pack())
        };
        word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim)
            .is_ok()
    }

    /// Without health checks, what those of an earlier configuration found is of no concern.
    fn of_concern(&self, state: State) -> State {
        State {
            failed_checks: state.failed_checks && self.checked,
            ..state
        }
    }

    /// Changes the state; whoever did change it acts on it.
    fn change(&self, next: impl Fn(State) -> State, act: impl FnOnce(State, State)) {
        let word = self.slot.word(Word::State);
        let update = |word: u64| {
            let next = next(State::unpack(word)).pack();
            (next != word).then_some(next)
        };
        let changed = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        if let Ok(old) = changed {
            let old = State::unpack(old);
            act(old, next(old));
        }
    }
}
