//! Memory that all workers of all generations share, and that outlives every one of them: a reload, a killed worker and
//! a new binary lose nothing of it. Without locks: every word is an atomic of its own.
//!
//! The first words say which layout this is and hold a secret; then come the regions.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// To be raised when a region moves or means something else.
const LAYOUT: u64 = 1;

/// A cache line.
const LINE: usize = 8;
const LAYOUT_WORD: usize = 0;
const SECRET: Range<usize> = 1..5;
const HEADER_WORDS: usize = 2 * LINE;

/// Keys of session tickets that are known at a time, and the words of each: a cache line.
pub const TICKET_KEYS: usize = 4;
pub const TICKET_KEY_WORDS: usize = LINE;
/// How many upstream servers can be kept in mind.
pub const UPSTREAM_SLOTS: usize = 1 << 16;
/// Words of one upstream server: a cache line.
pub const UPSTREAM_WORDS: usize = LINE;
/// Words for rate limits, in sets of a cache line each.
pub const RATE_LIMIT_WORDS: usize = 1 << 20;

const _: () = assert!(SECRET.end <= HEADER_WORDS);

const TICKETS: Range<usize> = HEADER_WORDS..HEADER_WORDS + TICKET_KEYS * TICKET_KEY_WORDS;
const UPSTREAMS: Range<usize> = TICKETS.end..TICKETS.end + UPSTREAM_SLOTS * UPSTREAM_WORDS;
const RATE_LIMITS: Range<usize> = UPSTREAMS.end..UPSTREAMS.end + RATE_LIMIT_WORDS;

/// Words of all of it. Only what is written takes memory.
pub const WORDS: usize = RATE_LIMITS.end;

/// All of it, as one process sees it.
#[derive(Clone, Copy)]
pub struct Lasting<'a> {
    words: &'a [AtomicU64],
}

impl Lasting<'static> {
    /// One that nobody shares, for tests and tools.
    pub fn detached() -> Self {
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Self::prepare(Vec::leak(words), [7; 32]).expect("it has this very length")
    }
}

impl<'a> Lasting<'a> {
    /// Makes fresh zeros the memory of this layout. None when they are not [`WORDS`].
    pub fn prepare(words: &'a [AtomicU64], secret: [u8; 32]) -> Option<Self> {
        if words.len() != WORDS {
            return None;
        }
        for (word, bytes) in words[SECRET].iter().zip(secret.chunks_exact(8)) {
            let value = bytes.try_into().expect("a chunk of eight");
            word.store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
        words[LAYOUT_WORD].store(LAYOUT, Ordering::Release);
        Some(Self { words })
    }

    /// None when another version made it, in another layout.
    pub fn open(words: &'a [AtomicU64]) -> Option<Self> {
        let fits = words.len() == WORDS && words[LAYOUT_WORD].load(Ordering::Acquire) == LAYOUT;
        fits.then_some(Self { words })
    }

    /// Random bytes that all workers know, for keys of hashes and signatures; as long-lived as the master.
    pub fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        for (bytes, word) in secret.chunks_exact_mut(8).zip(&self.words[SECRET]) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        secret
    }

    /// [`TICKET_KEYS`] times [`TICKET_KEY_WORDS`].
    pub fn ticket_keys(&self) -> &'a [AtomicU64] {
        &self.words[TICKETS]
    }

    /// [`UPSTREAM_SLOTS`] times [`UPSTREAM_WORDS`].
    pub fn upstreams(&self) -> &'a [AtomicU64] {
        &self.words[UPSTREAMS]
    }

    /// [`RATE_LIMIT_WORDS`].
    pub fn rate_limits(&self) -> &'a [AtomicU64] {
        &self.words[RATE_LIMITS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_begin_on_cache_lines_and_do_not_overlap() {
        let lasting = Lasting::detached();
        for region in [
            lasting.ticket_keys(),
            lasting.upstreams(),
            lasting.rate_limits(),
        ] {
            let offset = region.as_ptr().addr() - lasting.words.as_ptr().addr();
            assert_eq!(offset % (LINE * size_of::<u64>()), 0);
        }
        assert_eq!(lasting.upstreams().len(), UPSTREAM_SLOTS * UPSTREAM_WORDS);
        assert_eq!(lasting.rate_limits().len(), RATE_LIMIT_WORDS);
    }

    #[test]
    fn who_opens_it_finds_what_was_there() {
        let lasting = Lasting::detached();
        lasting.rate_limits()[3].store(9, Ordering::Relaxed);
        let again = Lasting::open(lasting.words).unwrap();
        assert_eq!(again.secret(), [7; 32]);
        assert_eq!(again.rate_limits()[3].load(Ordering::Relaxed), 9);
        assert!(Lasting::open(&lasting.words[1..]).is_none());
    }
}
