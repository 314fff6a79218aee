//! What all threads of a process know of names: each is asked for once for all of them.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::lookup::{self, Found, Target};
use super::system::{Files, System};
use super::word::{Meaning, Value, Word, is_same};

/// Names that are looked up at the same time: some hundred sockets at most. One whose servers are silent takes its time.
const LOOKUPS: usize = 128;
/// However short the records' time is, and however long.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// After a failure, and at most after several; a name of which nothing is known is waited for.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
const LONGEST_BACK_OFF_UNKNOWN: Duration = Duration::from_secs(4);
/// Of its time, by how much less a record is believed at most: many names are not asked for at once.
const JITTER_PART: u32 = 10;
/// Names that are known before those of which nobody asked for long are forgotten.
const MANY: usize = 256;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// What a name stands for.
#[derive(Clone, Debug)]
pub struct Known<T> {
    /// At least one.
    pub values: Arc<[T]>,
    /// From then on it makes sense to ask again.
    pub until: Instant,
}

/// Resolves names, each once for all threads. It asks for nothing by itself.
pub struct Resolver {
    system: System,
    addresses: Names<IpAddr>,
    services: Names<Target>,
    turns: Semaphore,
    /// What was learned and nobody was told yet.
    news: Mutex<Vec<Word>>,
    listener: OnceLock<Listener>,
}

type Listener = Box<dyn Fn() + Send + Sync>;

impl Resolver {
    /// Asks `servers`; with none, those of the system, in the ways of the system.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self::with(Files::default(), servers)
    }

    pub(super) fn with(files: Files, servers: Vec<SocketAddr>) -> Self {
        Self {
            system: System::new(files, servers),
            addresses: Names::default(),
            services: Names::default(),
            turns: Semaphore::new(LOOKUPS),
            news: Mutex::default(),
            listener: OnceLock::new(),
        }
    }

    /// From now on `listener` is called when there is something in [`Self::take_news`].
    pub fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.listener.set(Box::new(listener));
    }

    /// What changed since this was asked last.
    pub fn take_news(&self) -> Vec<Word> {
        std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Believes, for a moment from the first use, what somebody else knew.
    pub fn inherit(&self, words: Vec<Word>) {
        for Word { name, meaning } in words {
            match meaning {
                Meaning::Addresses(values) => self.addresses.entry(&name).inherit(values),
                Meaning::Targets(values) => self.services.entry(&name).inherit(values),
            }
        }
    }

    fn tell<T: Value>(&self, name: &str, known: &Known<T>) {
        let Some(listener) = self.listener.get() else {
            return;
        };
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.push(Word {
            name: name.to_owned(),
            meaning: T::meaning(&known.values),
        });
        if news.len() == 1 {
            listener();
        }
    }

    /// The addresses of `host`: what is known unless that is old, or `doubted`. When the name cannot be resolved any
    /// more, the old ones.
    pub async fn addresses(&self, host: &str, doubted: bool) -> io::Result<Known<IpAddr>> {
        let entry = self.addresses.entry(host);
        let learned = entry.learn(doubted, || self.find_addresses(host));
        self.note(host, learned.await)
    }

    /// The targets of a service such as `_http._tcp.example.com`, ordered; else as [`Self::addresses`].
    pub async fn targets(&self, service: &str, doubted: bool) -> io::Result<Known<Target>> {
        let entry = self.services.entry(service);
        let learned = entry.learn(doubted, || self.find_targets(service));
        self.note(service, learned.await)
    }

    fn note<T: Value>(
        &self,
        name: &str,
        learned: io::Result<(Known<T>, bool)>,
    ) -> io::Result<Known<T>> {
        let (known, changed) = learned?;
        if changed {
            self.tell(name, &known);
        }
        Ok(known)
    }

    async fn find_addresses(&self, host: &str) -> io::Result<Found<IpAddr>> {
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        lookup::addresses(&*self.system.settings().await?, host).await
    }

    async fn find_targets(&self, service: &str) -> io::Result<Found<Target>> {
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        lookup::targets(&*self.system.settings().await?, service).await
    }
}

/// By name, as it is configured.
struct Names<T>(OnceLock<Mutex<Table<T>>>);

struct Table<T> {
    entries: HashMap<Box<str>, Arc<Entry<T>>>,
    /// Entries with which some are forgotten.
    limit: usize,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Names<T> {
    fn entry(&self, name: &str) -> Arc<Entry<T>> {
        let table = self.0.get_or_init(|| {
            Mutex::new(Table {
                entries: HashMap::new(),
                limit: MANY,
            })
        });
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.entries.get(name) {
            return entry.clone();
        }
        if table.entries.len() >= table.limit {
            table.entries.retain(|_, entry| entry.is_used());
            table.limit = MANY.max(2 * table.entries.len());
        }
        let entry = Arc::new(Entry(tokio::sync::Mutex::default()));
        table.entries.insert(name.into(), entry.clone());
        entry
    }
}

/// One name. Whoever asks has the lock meanwhile; who comes then needs not ask.
struct Entry<T>(tokio::sync::Mutex<State<T>>);

struct State<T> {
    values: Option<Arc<[T]>>,
    /// From somebody else, and not used yet.
    inherited: bool,
    asked_at: Option<Instant>,
    until: Option<Instant>,
    failures: u32,
    /// Why there is nothing.
    failure: Option<(io::ErrorKind, String)>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            values: None,
            inherited: false,
            asked_at: None,
            until: None,
            failures: 0,
            failure: None,
        }
    }
}

impl<T: Value> Entry<T> {
    /// Says as well whether it is something new.
    async fn learn<F: Future<Output = io::Result<Found<T>>>>(
        &self,
        doubted: bool,
        find: impl FnOnce() -> F,
    ) -> io::Result<(Known<T>, bool)> {
        let mut state = self.0.lock().await;
        if std::mem::take(&mut state.inherited) {
            let now = Instant::now();
            (state.asked_at, state.until) = (Some(now), Some(now + SHORTEST));
        }
        let due = state.is_due(doubted);
        let before = state.values.clone().filter(|_| due);
        if due {
            let found = find().await;
            state.take(found);
        }
        let known = state.known()?;
        let same = before.is_some_and(|before| is_same(&before, &known.values));
        Ok((known, due && !same))
    }

    fn inherit(&self, values: Vec<T>) {
        // Whoever has the lock finds out by himself.
        if let (Ok(mut state), false) = (self.0.try_lock(), values.is_empty()) {
            if state.values.is_none() {
                (state.values, state.inherited) = (Some(values.into()), true);
            }
        }
    }
}

impl<T> Entry<T> {
    fn is_used(&self) -> bool {
        let state = self.0.try_lock();
        state.map_or(true, |state| {
            let recently = |at: Instant| at.elapsed() < FORGOTTEN_AFTER;
            state.inherited || state.asked_at.is_some_and(recently)
        })
    }
}

impl<T: Value> State<T> {
    fn is_due(&self, doubted: bool) -> bool {
        let (Some(asked), Some(until)) = (self.asked_at, self.until) else {
            return true;
        };
        let doubted = doubted && self.failures == 0 && asked.elapsed() >= SHORTEST;
        doubted || Instant::now() >= until
    }

    fn take(&mut self, found: io::Result<Found<T>>) {
        let now = Instant::now();
        self.asked_at = Some(now);
        let span = match found {
            Ok((values, ttl)) => {
                self.values = Some(values.into());
                self.failures = 0;
                self.failure = None;
                ttl.clamp(SHORTEST, LONGEST)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.failure = Some((error.kind(), error.to_string()));
                self.back_off()
            }
        };
        self.until = Some(now + span - (span / JITTER_PART).mul_f64(chance()));
    }

    fn back_off(&self) -> Duration {
        let longest = match self.values {
            Some(_) => LONGEST_BACK_OFF,
            None => LONGEST_BACK_OFF_UNKNOWN,
        };
        let doublings = self.failures.saturating_sub(1).min(8);
        (FIRST_BACK_OFF * 2u32.pow(doublings)).min(longest)
    }

    fn known(&self) -> io::Result<Known<T>> {
        if let (Some(values), Some(until)) = (&self.values, self.until) {
            return Ok(Known {
                values: values.clone(),
                until,
            });
        }
        let failure = self.failure.clone();
        let (kind, message) = failure.unwrap_or((io::ErrorKind::NotFound, String::new()));
        Err(io::Error::new(kind, message))
    }
}

/// Between 0 and 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers all come at once; that is no reason to fail.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}
