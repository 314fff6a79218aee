//! What a client sends: HTTP/1 through the gate to hyper, HTTP/2 past the watch to `h2`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::ClientIo;
use crate::metrics::counters::Global;
use crate::worker::frames::Watch;
use crate::worker::framing::Gate;

/// Bytes read at once for a head that comes in pieces.
const PIECE: usize = 4096;

/// Bytes read at once where the head of an HTTP/2 frame came in pieces.
const SMALL_PIECE: usize = 64;

impl ClientIo {
    /// Reads from the transport, noting it.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(Pin::new(self.transport()).poll_read(context, buffer))?;
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.activity.note_read();
            self.recorder.add(Global::BytesReceived, count as u64);
        }
        Poll::Ready(Ok(count))
    }

    /// Reads into hyper's buffer what may pass, perhaps nothing. False at the end of the stream.
    fn poll_sift(
        &mut self,
        gate: &mut Gate,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if gate.is_empty() {
            let before = buffer.filled().len();
            let count = ready!(self.poll_receive(context, buffer))?;
            let passed = gate.sift(&buffer.filled()[before..]);
            buffer.set_filled(before + passed);
            return Poll::Ready(Ok(count > 0));
        }
        let mut space = [0; PIECE];
        let mut piece = ReadBuf::new(&mut space);
        let count = ready!(self.poll_receive(context, &mut piece))?;
        gate.extend(piece.filled());
        Poll::Ready(Ok(count > 0))
    }

    fn poll_guarded(
        &mut self,
        gate: &mut Gate,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            if gate.give(buffer) || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            match gate.refusal() {
                // The request that this body belongs to cannot be completed.
                Some(_) if gate.in_body() => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                // The connection is woken by the answers that are still to be given, and then says why.
                Some(_) => return Poll::Pending,
                None => {}
            }
            if gate.is_undecided() {
                // Whoever answers the request wakes the connection.
                if self.activity.undecided.get() {
                    return Poll::Pending;
                }
                gate.resume();
                gate.report(&self.activity);
                continue;
            }
            if !ready!(self.poll_sift(gate, context, buffer))? {
                return Poll::Ready(Ok(()));
            }
            gate.report(&self.activity);
        }
    }

    fn poll_watched(
        &mut self,
        watch: &mut Watch,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            if watch.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            if watch.is_over() {
                return Poll::Pending;
            }
            if watch.had_its_turn(self.activity.turn.get()) {
                come_back(context);
                return Poll::Pending;
            }
            watch.given(self.activity.pieces.take());
            let count = if watch.holds() {
                let mut space = [0; SMALL_PIECE];
                let mut piece = ReadBuf::new(&mut space);
                let count = ready!(self.poll_receive(context, &mut piece))?;
                watch.extend(piece.filled(), self.activity.now());
                count
            } else {
                let count = ready!(self.poll_receive(context, buffer))?;
                let passed = watch.sift(&buffer.filled()[before..], self.activity.now());
                buffer.set_filled(before + passed);
                count
            };
            if watch.is_flooded() {
                self.activity.flooded.set(true);
            }
            self.activity.note_block(watch.in_head());
            if count == 0 || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Has the task woken when all others had their turn and the sockets were looked at: its own waker would have it run
/// again before.
fn come_back(context: &mut Context<'_>) {
    let pause = std::pin::pin!(tokio::task::yield_now());
    let _ = pause.poll(context);
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut watch) = self.watch.take() {
            let result = self.poll_watched(&mut watch, context, buffer);
            self.watch = Some(watch);
            return result;
        }
        let Some(mut gate) = self.gate.take() else {
            return self.poll_receive(context, buffer).map_ok(|_| ());
        };
        let result = self.poll_guarded(&mut gate, context, buffer);
        self.gate = Some(gate);
        result
    }
}
