//! A stream of an HTTP/2 connection as bytes in both directions, after CONNECT (RFC 9113 section 8.5, RFC 8441): at either
//! end of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both halves of a stream. What is not ended when it is dropped the peer hears of by RST_STREAM.
pub struct ByteStream<B: Buf> {
    to_peer: SendStream<B>,
    from_peer: RecvStream,
    /// Received and not read.
    rest: Bytes,
}

impl<B: Buf> ByteStream<B> {
    pub fn new(to_peer: SendStream<B>, from_peer: RecvStream) -> Self {
        Self {
            to_peer,
            from_peer,
            rest: Bytes::new(),
        }
    }

    /// Fills `rest`; it stays empty at the end.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.from_peer.poll_data(context)) {
                None => break,
                Some(Ok(bytes)) => self.rest = bytes,
                // It went without a word.
                Some(Err(error)) if is_farewell(&error) => break,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// How much of `wanted` bytes the peer takes now.
    fn poll_room(&mut self, wanted: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.to_peer.capacity() == 0 {
            self.to_peer.reserve_capacity(wanted);
        }
        loop {
            let room = self.to_peer.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            match ready!(self.to_peer.poll_capacity(context)) {
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

impl<B: Buf> AsyncRead for ByteStream<B> {
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
        let _ = self.from_peer.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl<B: Buf + From<Bytes>> AsyncWrite for ByteStream<B> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(self.poll_room(bytes.len(), context))?;
        let piece = Bytes::copy_from_slice(&bytes[..room]);
        let sent = self.to_peer.send_data(piece.into(), false);
        Poll::Ready(sent.map(|()| room).map_err(io::Error::other))
    }

    /// What was written is the connection's, which sends it in its turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.to_peer.send_data(Bytes::new().into(), true);
        Poll::Ready(ended.map_err(io::Error::other))
    }
}
