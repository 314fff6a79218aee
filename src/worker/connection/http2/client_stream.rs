//! A client's stream that is a tunnel: as any [`ByteStream`], but what goes out is noted.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::piece::Piece;
use crate::http::byte_stream::ByteStream;
use crate::worker::activity::Activity;

/// Both halves of a stream.
pub struct ClientStream {
    stream: ByteStream<Piece>,
    activity: Rc<Activity>,
}

impl ClientStream {
    pub fn new(
        to_client: SendStream<Piece>,
        from_client: RecvStream,
        activity: Rc<Activity>,
    ) -> Self {
        Self {
            stream: ByteStream::new(to_client, from_client),
            activity,
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        // What the client's window cut off is no piece.
        if count == bytes.len() && count > 0 {
            self.activity.note_piece();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
