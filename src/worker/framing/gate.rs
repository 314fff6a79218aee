//! Holds back what a client sends until the scanner lets it through: heads whole, chunked bodies line by line.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::ReadBuf;

use super::{Refusal, Scanner};
use crate::config::types::HeadLimits;
use crate::worker::activity::Activity;

/// Between the socket and hyper.
#[derive(Default)]
pub struct Gate {
    scanner: Scanner,
    /// Bytes that came and were not given to hyper. Empty, and without memory, when heads come in one piece.
    held: BytesMut,
    /// How many of them hyper may have.
    passed: usize,
}

impl Gate {
    /// `rewound` came before, and nobody used it.
    pub fn new(rewound: Bytes, limits: HeadLimits) -> Self {
        let mut gate = Self {
            scanner: Scanner::new(limits),
            held: rewound.into(),
            ..Self::default()
        };
        gate.rescan();
        gate
    }

    /// Tells `activity` how far the client has come.
    pub fn report(&mut self, activity: &Activity) {
        let waiting = activity.heads_waiting.get();
        let heads = self.scanner.take_heads();
        activity.heads_waiting.set(waiting.saturating_add(heads));
        activity.in_body.set(self.in_body());
        if self.is_undecided() {
            activity.undecided.set(true);
        }
        if !self.in_body() {
            activity.refusal.set(self.refusal());
        }
    }

    pub fn in_body(&self) -> bool {
        self.scanner.in_body()
    }

    /// Whether the next byte has no meaning until a request for another protocol is answered. [`Self::report`] tells
    /// so, and whoever declines it.
    pub fn is_undecided(&self) -> bool {
        self.scanner.is_undecided()
    }

    /// Goes on with HTTP.
    pub fn resume(&mut self) {
        self.scanner.resume();
        self.rescan();
    }

    pub fn refusal(&self) -> Option<Refusal> {
        self.scanner.refusal()
    }

    /// Whether nothing is held, so that bytes may be read right into hyper's buffer and be shown to [`Self::sift`].
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Gives out what may pass; false when there is nothing.
    pub fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let count = self.passed.min(buffer.remaining());
        buffer.put_slice(&self.held[..count]);
        self.held.advance(count);
        self.passed -= count;
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        count > 0
    }

    /// How many of these `fresh` bytes may pass; the others are kept.
    pub fn sift(&mut self, fresh: &[u8]) -> usize {
        let passed = self.scanner.scan(fresh);
        if self.refusal().is_none() {
            self.held.extend_from_slice(&fresh[passed..]);
        }
        passed
    }

    /// Takes in the next piece of what is held.
    pub fn extend(&mut self, fresh: &[u8]) {
        self.held.extend_from_slice(fresh);
        self.rescan();
    }

    fn rescan(&mut self) {
        self.passed += self.scanner.scan(&self.held[self.passed..]);
        if self.refusal().is_some() {
            self.held.truncate(self.passed);
        }
    }

    /// What hyper did not get: the beginning of a head, or the first bytes of another protocol.
    pub fn into_held(mut self) -> Bytes {
        self.held.advance(self.passed);
        self.held.freeze()
    }
}
