//! What happened lately: the last events that this server told, numbered, and those who follow them. Numbers only grow:
//! the first one is the time of the start in milliseconds since the epoch, and a new program goes on with the old one's.
//!
//! - `follower`: one who reads along

mod follower;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

pub use follower::{Follower, News};

/// Events that are kept.
const KEPT: usize = 256;
/// Who may follow at once, from each side.
const FOLLOWERS: usize = 32;

/// Where followers come from: those of one side take no room from those of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Socket,
    Tcp,
}

/// An event: its name, and a line of JSON that begins with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: u64,
    pub event: String,
    pub record: String,
}

/// All clones are the same one.
#[derive(Clone)]
pub struct Chronicle(Arc<Mutex<Inner>>);

struct Inner {
    /// The number of the event that comes next.
    next: u64,
    /// Without gaps: the last one is the one before `next`.
    entries: VecDeque<Arc<Entry>>,
    followers: BTreeMap<u64, Place>,
    last_follower: u64,
    /// Followers may stay.
    open: bool,
}

/// A follower, as the chronicle knows it.
struct Place {
    side: Side,
    /// None: it was woken and has not looked yet.
    waker: Option<Waker>,
}

/// What the next program needs to go on with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    next: u64,
    entries: Vec<Arc<Entry>>,
}

impl Chronicle {
    pub fn begin() -> Self {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        Self::begin_at(u64::try_from(now).unwrap_or(1).max(1))
    }

    fn begin_at(first: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            next: first,
            entries: VecDeque::new(),
            followers: BTreeMap::new(),
            last_follower: 0,
            open: true,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down an event and wakes who follows. What would break the lines of a stream is left out.
    pub fn tell(&self, event: &str, record: String) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !event.bytes().all(plain) || record.contains(['\r', '\n']) {
            return;
        }
        let mut inner = self.inner();
        inner.push(event.to_owned(), record);
        inner.wake();
    }

    /// The last events, the newest first.
    pub fn latest(&self, count: usize) -> Vec<Arc<Entry>> {
        let inner = self.inner();
        inner.entries.iter().rev().take(count).cloned().collect()
    }

    /// Follows what comes after the event `after`, or what comes from now on. None: too many do, from
    /// this side.
    pub fn follow(&self, side: Side, after: Option<u64>) -> Option<Follower> {
        let mut inner = self.inner();
        let beside = inner.followers.values().filter(|place| place.side == side);
        if beside.count() >= FOLLOWERS {
            return None;
        }
        inner.last_follower += 1;
        let number = inner.last_follower;
        inner.followers.insert(number, Place { side, waker: None });
        let next = after.map_or(inner.next, |after| after.saturating_add(1));
        drop(inner);
        Some(Follower::new(self.clone(), number, next))
    }

    pub fn followers(&self) -> usize {
        self.inner().followers.len()
    }

    /// Whoever follows is told what there is and then that it is over, also who comes from now on.
    pub fn close(&self) {
        self.set_open(false);
    }

    /// Followers may stay again.
    pub fn open(&self) {
        self.set_open(true);
    }

    fn set_open(&self, open: bool) {
        let mut inner = self.inner();
        if inner.open != open {
            inner.open = open;
            inner.wake();
        }
    }

    pub fn record(&self) -> Record {
        let inner = self.inner();
        Record {
            next: inner.next,
            entries: inner.entries.iter().cloned().collect(),
        }
    }

    /// Goes on where the program before left off; what was told since then comes after that.
    pub fn resume(&self, record: Record) {
        let mut inner = self.inner();
        let since = std::mem::take(&mut inner.entries);
        let whole = record
            .entries
            .windows(2)
            .all(|two| two[0].id + 1 == two[1].id);
        let last = record.entries.last().map(|last| last.id + 1);
        if whole && last.is_none_or(|next| next == record.next) {
            inner.entries = record.entries.into();
        }
        if record.next > 0 {
            inner.next = record.next;
        }
        for entry in since {
            inner.push(entry.event.clone(), entry.record.clone());
        }
        inner.wake();
    }
}

impl Inner {
    fn push(&mut self, event: String, record: String) {
        let id = self.next;
        self.next += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries
            .push_back(Arc::new(Entry { id, event, record }));
    }

    fn wake(&mut self) {
        for place in self.followers.values_mut() {
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }

    /// The number of the oldest event that is kept; without any, that of the next one.
    fn first(&self) -> u64 {
        self.entries.front().map_or(self.next, |entry| entry.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_a_stream_is_not_told() {
        let chronicle = Chronicle::begin();
        chronicle.tell("a\nb", String::new());
        chronicle.tell("a", "{\n}".into());
        chronicle.tell("a-1", "{}".into());
        assert_eq!(chronicle.latest(9).len(), 1);
    }

    #[test]
    fn numbers_go_on_in_the_next_program() {
        let before = Chronicle::begin_at(5);
        before.tell("one", "{}".into());
        let text = serde_json::to_string(&before.record()).unwrap();
        let after = Chronicle::begin_at(1000);
        after.tell("two", "{}".into());
        after.resume(serde_json::from_str(&text).unwrap());
        after.tell("three", "{}".into());
        let entries = after.latest(9);
        let entries: Vec<_> = entries.iter().map(|it| (it.id, &*it.event)).collect();
        assert_eq!(entries, [(7, "three"), (6, "two"), (5, "one")]);
        // A program that kept no events.
        after.resume(Record::default());
        after.tell("four", "{}".into());
        assert_eq!(after.latest(1)[0].id, 11);
    }

    #[test]
    fn old_events_make_room() {
        let chronicle = Chronicle::begin_at(1);
        for _ in 0..KEPT + 3 {
            chronicle.tell("a", "{}".into());
        }
        assert_eq!(chronicle.latest(usize::MAX).len(), KEPT);
        assert_eq!(chronicle.inner().first(), 4);
    }
}
