//! One direction of a tunnel: what is read is written at once, and kept only while the reader of the other side is slow.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// Bytes read at once, and thereby the most that a direction keeps. Both directions fit one message to the next
/// generation.
pub const PIECE: usize = 24 * 1024;

/// Pieces passed on in a row, before other tasks have their turn.
const IN_A_ROW: usize = 16;

thread_local! {
    /// Tunnels have no buffer of their own: one piece is on its way at a time.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

/// The side that cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Sender,
    Receiver,
}

type Passed = Poll<Result<(), Broken>>;

#[derive(Default)]
pub struct Way {
    /// Read and not written yet.
    pub pending: Bytes,
    /// The sender has said that nothing more comes.
    pub finished: bool,
    /// And the receiver knows.
    pub closed: bool,
    /// Written to the receiver, perhaps not sent.
    pub unflushed: bool,
    /// Of a WebSocket.
    pub frames: Option<Frames>,
}

impl Way {
    /// `early` came before the tunnel was one.
    pub fn new(early: Bytes, websocket: bool) -> Self {
        let mut way = Self {
            frames: websocket.then(Frames::default),
            ..Self::default()
        };
        way.follow(&early);
        way.pending = early;
        way
    }

    /// Whether a frame of ours may follow what was written.
    pub fn is_open(&self) -> bool {
        let between = |frames: &Frames| frames.is_open();
        !self.finished && self.pending.is_empty() && self.frames.as_ref().is_some_and(between)
    }

    fn follow(&mut self, bytes: &[u8]) {
        if let Some(frames) = &mut self.frames {
            frames.pass(bytes);
        }
    }

    /// Passes on what there is; ready when the direction is closed. `moved` hears of bytes read, and written.
    pub fn poll_pass<R, W>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        mut moved: impl FnMut(usize, usize),
    ) -> Passed
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..IN_A_ROW {
            if self.closed {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_write_pending(context, to, &mut moved))?;
            if self.finished {
                ready!(Pin::new(&mut *to).poll_shutdown(context)).map_err(receiver)?;
                self.closed = true;
                return Poll::Ready(Ok(()));
            }
            let passed = SCRATCH.with_borrow_mut(|scratch| {
                let mut piece = ReadBuf::new(scratch);
                ready!(Pin::new(&mut *from).poll_read(context, &mut piece)).map_err(sender)?;
                self.pass_on(context, piece.filled(), to, &mut moved)
            })?;
            if passed.is_pending() {
                return self.poll_flush(context, to);
            }
        }
        context.waker().wake_by_ref();
        self.poll_flush(context, to)
    }

    fn poll_write_pending<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        to: &mut W,
        moved: &mut impl FnMut(usize, usize),
    ) -> Passed {
        while !self.pending.is_empty() {
            let count =
                ready!(Pin::new(&mut *to).poll_write(context, &self.pending)).map_err(receiver)?;
            if count == 0 {
                return Poll::Ready(Err(Broken::Receiver));
            }
            self.unflushed = true;
            moved(0, count);
            self.pending.advance(count);
        }
        // Not a slice of memory that it used to hold.
        self.pending = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Writes `piece`, fresh from the sender, and keeps what the receiver does not take.
    fn pass_on<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        piece: &[u8],
        to: &mut W,
        moved: &mut impl FnMut(usize, usize),
    ) -> Passed {
        if piece.is_empty() {
            self.finished = true;
            return Poll::Ready(Ok(()));
        }
        self.follow(piece);
        let written = match Pin::new(to).poll_write(context, piece) {
            Poll::Ready(count) => count.map_err(receiver)?,
            Poll::Pending => 0,
        };
        self.unflushed |= written > 0;
        moved(piece.len(), written);
        self.pending = Bytes::copy_from_slice(&piece[written..]);
        Poll::Ready(Ok(()))
    }

    /// Pending, in any case: the direction is not closed yet.
    fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        to: &mut W,
    ) -> Passed {
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(context)).map_err(receiver)?;
            self.unflushed = false;
        }
        Poll::Pending
    }
}

fn sender(_: io::Error) -> Broken {
    Broken::Sender
}

fn receiver(_: io::Error) -> Broken {
    Broken::Receiver
}
