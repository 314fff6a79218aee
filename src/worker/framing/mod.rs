//! What a client sends on an HTTP/1 connection, looked at before hyper reads it: hyper is laxer than a front-end may be
//! (bare LF, equal Content-Length lines, any chunk extension …), and what two parsers read differently smuggles requests.
//!
//! - this file: [`Scanner`], from head to body to the next head, and where each may end (RFC 9112)
//! - `head`: one head, line by line
//! - `chunk`: the lines of a chunked body, and its trailers
//! - `extension`: the grammar of what may stand behind a chunk's size
//! - `field`: the grammar of names, values and lengths
//! - `gate`: holds bytes back until they are known to be sound
//!
//! Nothing is judged twice: `Host` and the form of the target are `http::admission`'s, for HTTP/2 as well.

mod chunk;
#[cfg(any(test, fuzzing))]
mod differential;
mod extension;
mod field;
mod gate;
mod head;
#[cfg(test)]
mod tests;

#[cfg(fuzzing)]
pub use differential::{cut, served, sifted, verdict};
pub use gate::Gate;

use head::{Body, Head};

use crate::config::types::HeadLimits;

/// Why nothing more is read from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400.
    Malformed,
    /// 414.
    TargetTooLong,
    /// 431.
    FieldsTooLarge,
    /// 501: a transfer coding that we do not have.
    UnknownCoding,
    /// 505.
    UnknownVersion,
    /// Another protocol: nobody there who would read an answer.
    Foreign,
}

/// Follows the messages of one connection. Any cut of the same bytes gives the same verdict.
#[derive(Default)]
pub struct Scanner {
    limits: HeadLimits,
    place: Place,
    lines: Lines,
    heads: u32,
    refusal: Option<Refusal>,
}

/// Where in a message the first byte stands that was not passed on.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head(Head),
    /// So many bytes follow.
    Length(u64),
    Chunks(chunk::Place),
    /// After a request for another protocol: its answer decides what the next byte is.
    Undecided,
}

impl Default for Place {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

impl Scanner {
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Looks at `bytes`, which begin with the first that was not passed on before; says how many may be now.
    pub fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while self.refusal.is_none() {
            match self.step(&bytes[passed..]) {
                Ok(Some(count)) => passed += count,
                Ok(None) => break,
                Err(refusal) => self.refusal = Some(refusal),
            }
        }
        passed
    }

    /// The scan ends for ever with it: in a head it is to be answered, in a body its request broke off.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Whether a body has begun and not ended.
    pub fn in_body(&self) -> bool {
        matches!(self.place, Place::Length(_) | Place::Chunks(_))
    }

    /// Whether nothing can be said of the next byte until a request for another protocol has its answer.
    pub fn is_undecided(&self) -> bool {
        matches!(self.place, Place::Undecided)
    }

    /// The other protocol was declined: the next byte begins a head.
    pub fn resume(&mut self) {
        self.place = Place::default();
    }

    /// Heads passed since this was asked last.
    pub fn take_heads(&mut self) -> u32 {
        std::mem::take(&mut self.heads)
    }

    /// The next part that is complete: its length, or None when more bytes are needed.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        match &mut self.place {
            Place::Head(head) => {
                let Some(body) = head.read(&mut self.lines, bytes, &self.limits)? else {
                    return Ok(None);
                };
                self.place = match body {
                    Body::None => Place::default(),
                    Body::Undecided => Place::Undecided,
                    Body::Length(length) => Place::Length(length),
                    Body::Chunked => Place::Chunks(chunk::Place::default()),
                };
                self.heads += 1;
                Ok(Some(self.lines.end()))
            }
            Place::Undecided => Ok(None),
            Place::Length(left) => {
                let count = advance(left, bytes.len());
                if *left == 0 {
                    self.place = Place::default();
                }
                Ok((count > 0).then_some(count))
            }
            Place::Chunks(place) => {
                let Some(count) = place.read(&mut self.lines, bytes)? else {
                    return Ok(None);
                };
                if place.is_end() {
                    self.place = Place::default();
                }
                Ok(Some(count))
            }
        }
    }
}

/// Takes as many of `available` bytes as are `left`.
fn advance(left: &mut u64, available: usize) -> usize {
    let count = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= count as u64;
    count
}

/// Cuts lines out of bytes that grow, looking at none of them twice.
#[derive(Default)]
struct Lines {
    start: usize,
    searched: usize,
}

/// What [`Lines::next`] found.
enum Line<'a> {
    /// A whole line, without its CRLF.
    Whole(&'a [u8]),
    /// It is not all there.
    Part,
}

impl Lines {
    /// The next line. It ends with CRLF and nothing else, and has `limit` bytes at most (its end not counted), else
    /// it is `too_long`, whatever is in it.
    fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        limit: usize,
        too_long: Refusal,
    ) -> Result<Line<'a>, Refusal> {
        let found = memchr::memchr(b'\n', &bytes[self.searched..]);
        let end = found.map_or(bytes.len(), |at| self.searched + at);
        let line = &bytes[self.start..end];
        if line.len() > limit + 1 {
            return Err(too_long);
        }
        if found.is_none() {
            self.searched = end;
            return Ok(Line::Part);
        }
        let line = line.strip_suffix(b"\r").ok_or(Refusal::Malformed)?;
        if line.len() > limit {
            return Err(too_long);
        }
        (self.start, self.searched) = (end + 1, end + 1);
        Ok(Line::Whole(line))
    }

    /// Where the last line ended; the next one begins a part of its own.
    fn end(&mut self) -> usize {
        self.searched = 0;
        std::mem::take(&mut self.start)
    }
}
