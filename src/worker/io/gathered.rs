//! Small writes that leave in one piece: the answers of one turn of an HTTP/2 connection, which the `h2` crate writes one
//! by one.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::{ClientIo, HELD};

/// Most bytes that wait, and that are worth copying.
const ROOM: usize = 16 * 1024;

/// What was written, and has not left.
#[derive(Default)]
pub struct Gathered {
    bytes: Vec<u8>,
    /// How much of it left.
    gone: usize,
}

impl Gathered {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes all of `slices` in, or, where they do not fit, nothing.
    pub fn take_in(&mut self, slices: &[IoSlice<'_>]) -> Option<usize> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if self.bytes.len() + length > ROOM {
            return None;
        }
        slices
            .iter()
            .for_each(|slice| self.bytes.extend_from_slice(slice));
        Some(length)
    }

    /// What is to leave next.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    /// So much of it left.
    pub fn note_gone(&mut self, count: usize) {
        self.gone += count;
        if self.rest().is_empty() {
            *self = Self::default();
        }
    }
}

impl ClientIo {
    /// Takes `slices` in if they can wait for others of this turn.
    pub(super) fn gather(&mut self, slices: &[IoSlice<'_>]) -> Option<usize> {
        let gathers = self.activity.gathers.get();
        gathers.then(|| self.gathered.take_in(slices)).flatten()
    }

    /// Ready when nothing that was gathered is left.
    pub(super) fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let transport = self.transport.as_mut().expect(HELD);
            let slices = [IoSlice::new(self.gathered.rest())];
            let result = transport.poll_write_vectored(context, &slices);
            self.note_write(&result);
            match ready!(result)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.gathered.note_gone(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_or_torn() {
        let mut gathered = Gathered::default();
        let slices = [IoSlice::new(b"he"), IoSlice::new(b"ad")];
        assert_eq!(gathered.take_in(&slices), Some(4));
        assert_eq!(gathered.take_in(&[IoSlice::new(&[0; ROOM - 3])]), None);
        assert_eq!(gathered.take_in(&[IoSlice::new(b"body")]), Some(4));
        gathered.note_gone(3);
        assert_eq!(gathered.rest(), b"dbody");
        assert!(!gathered.is_empty());
        gathered.note_gone(5);
        assert!(gathered.is_empty());
        assert_eq!(gathered.take_in(&[IoSlice::new(&[0; ROOM])]), Some(ROOM));
    }
}
