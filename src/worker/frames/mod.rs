//! What a client sends on an HTTP/2 connection, frame by frame, before `h2` reads it: frames that cost us something and
//! bring the client nothing are counted, and where they are too many the connection ends (RFC 9113 section 10.5).
//!
//! - this file: [`Watch`], from frame to frame
//! - `ledger`: what a frame costs, and what a client earns
//! - `last_words`: what makes `h2` say why it ends
//!
//! Payloads are `h2`'s affair; here only the nine bytes before each are looked at.

mod last_words;
mod ledger;
#[cfg(test)]
mod tests;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use self::ledger::Ledger;
use super::activity::Ticks;

/// Length of what a client says before its first frame (RFC 9113 section 3.4).
const PREFACE: u32 = 24;

/// Length of a frame's head (RFC 9113 section 4.1).
const HEAD: usize = 9;

/// Frames that a connection may send before others have their turn. A request is work for more, and so are many bytes of
/// other things than data.
const FRAMES_A_TURN: u32 = 64;
const REQUEST_IN_FRAMES: u32 = 8;
const BYTES_IN_FRAME: u32 = 512;

/// Frame types (RFC 9113 section 6).
mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags.
mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
}

/// Why nothing more is read from a client (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Protocol,
    FrameSize,
    EnhanceYourCalm,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    fn parse(head: &[u8]) -> Self {
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Self {
            length: word(0) >> 8,
            kind: head[3],
            flags: head[4],
            stream: word(5) & 0x7fff_ffff,
        }
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn ends_block(self) -> bool {
        self.has(flag::END_HEADERS)
    }
}

/// Follows the frames of one connection. Any cut of the same bytes gives the same verdict.
pub struct Watch {
    /// Bytes that still belong to the preface or to the frame before.
    skip: u32,
    /// A frame came, and it was SETTINGS.
    begun: bool,
    /// The stream whose header block has not ended; 0 for none.
    block: u32,
    /// The greatest stream that was opened.
    newest: u32,
    ledger: Ledger,
    fault: Option<Fault>,
    /// The beginning of a head.
    held: [u8; HEAD],
    held_length: usize,
    /// What `h2` gets before anything else.
    ready: BytesMut,
    /// Frames in this turn of the connection's task.
    frames: u32,
    turn: u32,
}

impl Watch {
    pub fn new(now: Ticks) -> Self {
        Self {
            skip: PREFACE,
            begun: false,
            block: 0,
            newest: 0,
            ledger: Ledger::new(now),
            fault: None,
            held: [0; HEAD],
            held_length: 0,
            ready: BytesMut::new(),
            frames: 0,
            turn: 0,
        }
    }

    /// Gives out what is ready; false when nothing is.
    pub fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let count = self.ready.len().min(buffer.remaining());
        buffer.put_slice(&self.ready[..count]);
        self.ready.advance(count);
        if self.ready.is_empty() {
            self.ready = BytesMut::new();
        }
        count > 0
    }

    /// Whether the client sent more than it may, and goes on with it most likely.
    pub fn is_flooded(&self) -> bool {
        self.fault == Some(Fault::EnhanceYourCalm)
    }

    /// Whether nothing more is to be read.
    pub fn is_over(&self) -> bool {
        self.fault.is_some()
    }

    /// Whether this connection sent as much as it may in `turn`.
    pub fn had_its_turn(&mut self, turn: u32) -> bool {
        if self.turn != turn {
            (self.turn, self.frames) = (turn, 0);
        }
        self.frames >= FRAMES_A_TURN
    }

    /// Whether the beginning of a head is held, so that the next piece is for [`Self::extend`].
    pub fn holds(&self) -> bool {
        self.held_length > 0
    }

    /// Whether a header block has begun and not ended, or the client has not even begun.
    pub fn in_head(&self) -> bool {
        self.block != 0 || !self.begun
    }

    /// So many bytes left for the client.
    pub fn sent(&mut self, bytes: usize) {
        self.ledger.earn_by_bytes(bytes);
    }

    /// So many pieces of bodies and tunnels were on their way to the client.
    pub fn given(&mut self, pieces: u32) {
        self.ledger.earn_by_pieces(pieces);
    }

    /// How many of these `fresh` bytes `h2` may have; the others are kept or forgotten.
    pub fn sift(&mut self, fresh: &[u8], now: Ticks) -> usize {
        self.ledger.earn_by_time(now);
        let passed = self.scan(fresh);
        if let Some(fault) = self.fault {
            self.ready
                .extend_from_slice(&last_words::of(fault, self.block));
        } else {
            let rest = &fresh[passed..];
            self.held[..rest.len()].copy_from_slice(rest);
            self.held_length = rest.len();
        }
        passed
    }

    /// Takes in the piece that follows what is held.
    pub fn extend(&mut self, fresh: &[u8], now: Ticks) {
        let mut joined = BytesMut::from(&self.held[..self.held_length]);
        joined.extend_from_slice(fresh);
        self.held_length = 0;
        let passed = self.sift(&joined, now);
        joined.truncate(passed);
        joined.extend_from_slice(&std::mem::take(&mut self.ready));
        self.ready = joined;
    }

    /// How many bytes come before the first that is no whole head, or is at fault.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let skipped = (self.skip as usize).min(bytes.len() - at);
            self.skip -= skipped as u32;
            at += skipped;
            let Some(head) = bytes.get(at..at + HEAD) else {
                return at;
            };
            let frame = Frame::parse(head);
            if let Err(fault) = self.judge(frame) {
                self.fault = Some(fault);
                return at;
            }
            self.skip = frame.length;
            at += HEAD;
        }
    }

    fn judge(&mut self, frame: Frame) -> Result<(), Fault> {
        if !self.begun && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
            return Err(Fault::Protocol);
        }
        self.begun = true;
        // What is wrong with the order of a header block `h2` tells.
        if self.block == 0 || frame.kind == kind::CONTINUATION {
            check_length(frame)?;
        }
        match frame.kind {
            kind::HEADERS | kind::CONTINUATION => {
                self.block = if frame.ends_block() { 0 } else { frame.stream };
            }
            _ => {}
        }
        if frame.kind == kind::HEADERS && frame.stream > self.newest {
            self.newest = frame.stream;
            self.frames += REQUEST_IN_FRAMES;
            self.ledger.earn_by_request();
        }
        self.frames += match frame.kind {
            kind::DATA => 1,
            _ => 1 + frame.length / BYTES_IN_FRAME,
        };
        self.ledger.charge(frame).ok_or(Fault::EnhanceYourCalm)
    }
}

/// The lengths that RFC 9113 section 6 prescribes. (What is longer than any frame may be `h2` tells.)
fn check_length(frame: Frame) -> Result<(), Fault> {
    let right = match frame.kind {
        kind::RST_STREAM | kind::WINDOW_UPDATE => frame.length == 4,
        kind::PRIORITY => frame.length == 5,
        kind::PING => frame.length == 8,
        kind::GOAWAY => frame.length >= 8,
        kind::SETTINGS if frame.has(flag::ACK) => frame.length == 0,
        kind::SETTINGS => frame.length % 6 == 0,
        _ => true,
    };
    right.then_some(()).ok_or(Fault::FrameSize)
}

/// For tests: what `h2` gets when the bytes come in pieces of `size`.
#[cfg(any(test, fuzzing))]
pub fn sifted(bytes: &[u8], size: usize) -> (Vec<u8>, Option<Fault>) {
    let mut watch = Watch::new(0);
    let mut given = Vec::new();
    for piece in bytes.chunks(size) {
        if watch.is_over() {
            break;
        }
        if watch.holds() {
            watch.extend(piece, 0);
        } else {
            let passed = watch.sift(piece, 0);
            given.extend_from_slice(&piece[..passed]);
        }
        // Smaller than a head, so that `h2` gets what is held in parts.
        let mut space = [0; 5];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            if !watch.give(&mut buffer) {
                break;
            }
            given.extend_from_slice(buffer.filled());
        }
    }
    (given, watch.fault)
}
