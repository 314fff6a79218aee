//! A stream of an HTTP/2 connection as bytes in both directions, after CONNECT (RFC 9113 section 8.5, RFC 8441).

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::piece::Piece;
use crate::worker::activity::Activity;

/// Both halves of a stream.
pub struct ByteStream {
    to_client: SendStream<Piece>,
    from_client: RecvStream,
    /// Received and not read.
    rest: Bytes,
    activity: Rc<Activity>,
}

impl ByteStream {
    pub fn new(
        to_client: SendStream<Piece>,
        from_client: RecvStream,
        activity: Rc<Activity>,
    ) -> Self {
        Self {
            to_client,
            from_client,
            rest: Bytes::new(),
            activity,
        }
    }

    /// Fills `rest`; it stays empty at the end.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.from_client.poll_data(context)) {
                None => break,
                Some(Ok(bytes)) => self.rest = bytes,
                // It went without a word.
                Some(Err(error)) if is_farewell(&error) => break,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// How much of `wanted` bytes the client takes now.
    fn poll_room(&mut self, wanted: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.to_client.capacity() == 0 {
            self.to_client.reserve_capacity(wanted);
        }
        loop {
            let room = self.to_client.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            match ready!(self.to_client.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }
}

fn is_farewell(error: &h2::Error) -> bool {
    matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL))
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_receive(context))?;
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        // Refused only on a stream that has ended.
        let _ = self.from_client.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(self.poll_room(bytes.len(), context))?;
        let piece = Piece::Tunnel(Bytes::copy_from_slice(&bytes[..room]));
        self.to_client
            .send_data(piece, false)
            .map_err(io::Error::other)?;
        // What the client's window cut off is no piece.
        if room == bytes.len() {
            self.activity.note_piece();
        }
        Poll::Ready(Ok(room))
    }

    /// What was written is the connection's, which sends it in its turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.to_client.send_data(Piece::nothing(), true);
        Poll::Ready(ended.map_err(io::Error::other))
    }
}
