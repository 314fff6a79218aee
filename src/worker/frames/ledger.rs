//! What a client may cost: frames that bring it nothing take from its credit; time, requests and what it is sent give
//! some back.

use super::{Frame, flag, kind};
use crate::worker::activity::Ticks;

/// The most that a client has, and what it begins with: less, for who was cut comes back.
const MOST: u32 = 1000;
const FIRST: u32 = 300;

/// Given back with each tick of the sweep: 100 a second.
const BY_TICK: u32 = 25;

/// Given back with each request: clients send priorities, window updates and a PING with them (gRPC measures the way as
/// often as it can).
const BY_REQUEST: u32 = 4;

/// Given back with each piece of a body or a tunnel, whatever its size (a message of gRPC, an event): clients answer it by
/// window updates of stream and connection, and by a PING that measures the way. Files come in large pieces.
const BY_PIECE: u32 = 4;

/// Given back with so many bytes sent: a client grants its window anew in steps that may be small, of the stream and of the
/// connection each; half a kilobyte at a time is not too little.
const BYTES: u32 = 256;

/// A request that is taken back cost us all the work (CVE-2023-44487): 150 at once, then 50 a second.
const RESET: u32 = 6;

/// SETTINGS are looked at one by one and change every stream.
const SETTINGS: u32 = 3;
const SETTINGS_BYTES: u32 = 60;

/// A client's credit.
pub struct Ledger {
    credit: u32,
    /// Bytes sent that gave nothing yet.
    bytes: u32,
    since: Ticks,
}

impl Ledger {
    pub fn new(now: Ticks) -> Self {
        Self {
            credit: FIRST,
            bytes: 0,
            since: now,
        }
    }

    pub fn earn_by_time(&mut self, now: Ticks) {
        let ticks = now.wrapping_sub(self.since);
        if ticks > 0 {
            self.since = now;
            self.earn(ticks.saturating_mul(BY_TICK));
        }
    }

    pub fn earn_by_request(&mut self) {
        self.earn(BY_REQUEST);
    }

    pub fn earn_by_bytes(&mut self, count: usize) {
        let bytes = self
            .bytes
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.bytes = bytes % BYTES;
        self.earn(bytes / BYTES);
    }

    pub fn earn_by_pieces(&mut self, count: u32) {
        self.earn(count.saturating_mul(BY_PIECE));
    }

    fn earn(&mut self, credit: u32) {
        self.credit = self.credit.saturating_add(credit).min(MOST);
    }

    /// Takes what `frame` costs; None when the client has not as much.
    pub fn charge(&mut self, frame: Frame) -> Option<()> {
        self.credit = self.credit.checked_sub(cost(frame))?;
        Some(())
    }
}

fn cost(frame: Frame) -> u32 {
    match frame.kind {
        kind::HEADERS => 0,
        // Small ones `h2` counts while they wait.
        kind::DATA => u32::from(frame.length == 0 && !frame.has(flag::END_STREAM)),
        kind::RST_STREAM => RESET,
        kind::SETTINGS if !frame.has(flag::ACK) => SETTINGS + frame.length / SETTINGS_BYTES,
        // PRIORITY, PING, WINDOW_UPDATE, CONTINUATION, GOAWAY and what nobody knows.
        _ => 1,
    }
}
