//! Counters in memory that the master shares with a worker: the worker adds without a lock or a system call, the
//! master reads at any time, also after the worker was killed.
//!
//! The page is an array of 64-bit words, one block for each thread (so that no cache line is shared between writers):
//! the words of [`Global`], then [`SITE_WORDS`] words for each site in the order of the configuration.

use std::sync::atomic::{AtomicU64, Ordering};

/// Words that belong to a thread as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Global {
    /// Connections accepted since start.
    ConnectionsAccepted,
    /// Connections open now, parked ones too (a gauge).
    ConnectionsOpen,
    /// Of these, parked (a gauge).
    ConnectionsParked,
    /// TLS handshakes that failed.
    TlsHandshakesFailed,
    /// Requests that a connection could not make out (answered 400, 408, 431 …, belonging to no site).
    RequestsMalformed,
    /// Requests in flight now (a gauge).
    RequestsInFlight,
    /// Bytes received and sent on client connections.
    BytesReceived,
    BytesSent,
    /// Lines that the access log could not take.
    AccessLogDropped,
    /// Connections ended because the client was too slow.
    ConnectionsTooSlow,
    /// Connections ended because the client sent frames without end (HTTP/2).
    ConnectionsFlooding,
    /// Tunnels open now: WebSocket and other upgrades (a gauge).
    TunnelsOpen,
    /// Of the requests that were not made out, those whose target was too long (414).
    TargetsTooLong,
    /// And those whose head was too large, or had too many fields (431).
    HeadsTooLarge,
}

/// How many words [`Global`] takes, rounded up to two cache lines.
pub const GLOBAL_WORDS: usize = 16;

/// Gauges, which vanish with their process; all other words only grow.
pub const GAUGES: [Global; 4] = [
    Global::ConnectionsOpen,
    Global::ConnectionsParked,
    Global::RequestsInFlight,
    Global::TunnelsOpen,
];

/// Words of a site: requests by status class 1xx to 5xx, body bytes sent, connections opened for it (by its first
/// request), and one to spare.
pub const SITE_WORDS: usize = 8;
/// Index of a site's sent body bytes among its words.
pub const SITE_BYTES: usize = 5;
/// Index of a site's connections among its words.
pub const SITE_CONNECTIONS: usize = 6;

/// Words of one thread's block.
pub const fn block_words(sites: usize) -> usize {
    (GLOBAL_WORDS + sites * SITE_WORDS).next_multiple_of(16)
}

/// Words of a whole page.
pub const fn page_words(threads: usize, sites: usize) -> usize {
    threads * block_words(sites)
}

/// One thread's block. Only that thread writes, so adding is a plain load and store.
#[derive(Clone, Copy)]
pub struct Recorder {
    block: &'static [AtomicU64],
}

impl Recorder {
    /// The block of thread number `thread` in `page`, which must have [`page_words`] words for that many threads.
    pub fn new(page: &'static [AtomicU64], thread: usize, sites: usize) -> Self {
        let words = block_words(sites);
        Self {
            block: &page[thread * words..(thread + 1) * words],
        }
    }

    /// A recorder that nobody reads, for tests and tools.
    pub fn detached(sites: usize) -> Self {
        let page: Vec<AtomicU64> = (0..block_words(sites)).map(|_| AtomicU64::new(0)).collect();
        Self {
            block: Vec::leak(page),
        }
    }

    pub fn add(&self, word: Global, amount: u64) {
        bump(&self.block[word as usize], amount);
    }

    /// A request that belongs to no site, answered with `status`.
    pub fn malformed(&self, status: u16) {
        self.add(Global::RequestsMalformed, 1);
        match status {
            414 => self.add(Global::TargetsTooLong, 1),
            431 => self.add(Global::HeadsTooLarge, 1),
            _ => {}
        }
    }

    /// Lowers a gauge.
    pub fn subtract(&self, word: Global, amount: u64) {
        bump(&self.block[word as usize], amount.wrapping_neg());
    }

    pub fn value(&self, word: Global) -> u64 {
        self.block[word as usize].load(Ordering::Relaxed)
    }

    /// One answered request of site number `site`.
    pub fn request(&self, site: u32, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        bump(
            &self.block[GLOBAL_WORDS + site as usize * SITE_WORDS + class],
            1,
        );
    }

    /// Adds to one of a site's other words ([`SITE_BYTES`], [`SITE_CONNECTIONS`]).
    pub fn site(&self, site: u32, word: usize, amount: u64) {
        bump(
            &self.block[GLOBAL_WORDS + site as usize * SITE_WORDS + word],
            amount,
        );
    }
}

fn bump(word: &AtomicU64, amount: u64) {
    word.store(
        word.load(Ordering::Relaxed).wrapping_add(amount),
        Ordering::Relaxed,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_classes_have_a_word_each() {
        let recorder = Recorder::detached(2);
        for status in [101, 200, 204, 304, 404, 502, 999] {
            recorder.request(1, status);
        }
        let words: Vec<u64> = (0..5)
            .map(|class| recorder.block[GLOBAL_WORDS + SITE_WORDS + class].load(Ordering::Relaxed))
            .collect();
        assert_eq!(words, [1, 2, 1, 1, 2]);
    }

    #[test]
    fn a_gauge_goes_down_again() {
        let recorder = Recorder::detached(0);
        recorder.add(Global::ConnectionsOpen, 2);
        recorder.subtract(Global::ConnectionsOpen, 1);
        assert_eq!(recorder.value(Global::ConnectionsOpen), 1);
    }
}
