//! What passes on a connection, where the `h2` crate does not tell: whether the upstream's first frame is here, its
//! settings; and whether anything was sent.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::Stream;

/// Bytes of a frame's head; the first three are the length of what follows (RFC 9113 section 4.1).
const HEAD: usize = 9;

/// What is known of a connection.
#[derive(Default)]
pub(super) struct Passage {
    settings: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    writes: Cell<u64>,
}

impl Passage {
    /// How often something was sent.
    pub(super) fn writes(&self) -> u64 {
        self.writes.get()
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(_)) = written {
            self.writes.set(self.writes.get() + 1);
        }
    }

    /// Whether the settings came. Until then the task of `context` is woken when they do.
    pub(super) fn has_settings(&self, context: &Context<'_>) -> bool {
        let settings = self.settings.get();
        if !settings {
            *self.waker.borrow_mut() = Some(context.waker().clone());
        }
        settings
    }

    fn note_settings(&self) {
        self.settings.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A stream that an upstream is read from as HTTP/2.
pub(super) struct Watched {
    stream: Stream,
    length: Length,
    passage: Rc<Passage>,
}

/// How much of a frame came.
#[derive(Default)]
struct Length {
    came: usize,
    payload: usize,
}

impl Length {
    /// Whether it is complete with these bytes.
    fn add(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes.iter().take(3_usize.saturating_sub(self.came)) {
            self.payload = (self.payload << 8) | usize::from(*byte);
        }
        self.came += bytes.len();
        self.came >= HEAD + self.payload
    }
}

impl Watched {
    pub(super) fn new(stream: Stream, passage: Rc<Passage>) -> Self {
        Self {
            stream,
            length: Length::default(),
            passage,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if !self.passage.settings.get() && self.length.add(&buffer.filled()[before..]) {
            self.passage.note_settings();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.passage.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.passage.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_complete_with_its_last_byte_however_it_comes() {
        // Two settings.
        let frame = [&[0, 0, 12, 4, 0, 0, 0, 0, 0][..], &[1; 12]].concat();
        for piece in 1..30 {
            let mut length = Length::default();
            let mut pieces = frame.chunks(piece).rev();
            let last = pieces.next().unwrap();
            for part in pieces.rev() {
                assert!(!length.add(part), "{piece}");
            }
            assert!(length.add(last), "{piece}");
        }
    }
}
