//! What is remembered of clients, in memory that all workers share (`metrics::lasting`): sets of one cache line, eight
//! clients each, a word for a client. However many addresses there are, it does not grow; a full set forgets the client
//! that would be allowed soonest.

use std::sync::atomic::{AtomicU64, Ordering};

use super::pace::{self, MOMENT_BITS, Memory, Moment};

/// Clients of a set.
const WAYS: usize = 8;
/// How often to try again when another thread was faster.
const ATTEMPTS: usize = 4;

/// A word: a tag that is not zero, a bit for who is blocked, a moment.
const BLOCKED: u64 = 1 << MOMENT_BITS;
const TAG_SHIFT: u32 = MOMENT_BITS + 1;

#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    words: &'static [AtomicU64],
}

impl Table {
    pub(super) fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// Shows `decide` what is remembered of the client with this hash; what it says is remembered instead.
    pub(super) fn update<T>(
        &self,
        hash: u64,
        now: Moment,
        decide: impl Fn(Memory) -> (T, Option<Memory>),
    ) -> T {
        let Some((set, tag)) = self.place(hash) else {
            return decide(Memory::default()).0;
        };
        let mut attempts = 0;
        loop {
            let (way, word) = find(set, tag, now);
            let memory = if word >> TAG_SHIFT == tag {
                unpack(word)
            } else {
                Memory::default()
            };
            let (outcome, next) = decide(memory);
            let Some(next) = next else { return outcome };
            let new = pack(tag, next);
            let swapped = way.compare_exchange(word, new, Ordering::Relaxed, Ordering::Relaxed);
            attempts += 1;
            if swapped.is_ok() || attempts == ATTEMPTS {
                return outcome;
            }
        }
    }

    /// The set by the upper bits of the hash, the tag by the lower ones.
    fn place(&self, hash: u64) -> Option<(&'static [AtomicU64], u64)> {
        let sets = self.words.len() / WAYS;
        let index = (u128::from(hash) * sets as u128) >> 64;
        let first = usize::try_from(index).ok()? * WAYS;
        let set = self.words.get(first..first + WAYS)?;
        Some((set, (hash & (u64::MAX >> TAG_SHIFT)).max(1)))
    }
}

/// The word of `tag`, else the one that is to be forgotten: the one with the least time left, and free ones have none.
fn find(set: &'static [AtomicU64], tag: u64, now: Moment) -> (&'static AtomicU64, u64) {
    let mut least = (u64::MAX, &set[0], 0);
    for way in set {
        let word = way.load(Ordering::Relaxed);
        if word >> TAG_SHIFT == tag {
            return (way, word);
        }
        let left = if word == 0 {
            0
        } else {
            pace::left(unpack(word).until, now)
        };
        if left < least.0 {
            least = (left, way, word);
        }
    }
    (least.1, least.2)
}

fn pack(tag: u64, memory: Memory) -> u64 {
    let blocked = if memory.is_blocked { BLOCKED } else { 0 };
    (tag << TAG_SHIFT) | blocked | memory.until
}

fn unpack(word: u64) -> Memory {
    Memory {
        until: word & (BLOCKED - 1),
        is_blocked: word & BLOCKED != 0,
    }
}
