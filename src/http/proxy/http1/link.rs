//! A connection to an upstream.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, ReadBuf};

use super::super::Stream;
use super::super::names::Origin;
use super::super::patience::Patience;

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

thread_local! {
    /// Where all connections of a thread read to: they take with them what came, and hold nothing while they wait.
    static SPACE: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

/// A connection that takes one request after the other.
pub(in crate::http::proxy) struct Link {
    /// A request that is still sent shares it with the response that is read already.
    pub(super) stream: Rc<RefCell<Stream>>,
    /// Where it leads to.
    pub(in crate::http::proxy) origin: Origin,
    /// For the next response.
    pub(in crate::http::proxy) patience: Patience,
    /// Memory for the next head.
    pub(super) head: Vec<u8>,
    /// The last read filled all its space: there is a lot to come.
    bulk: bool,
}

impl Link {
    pub(in crate::http::proxy) fn new(stream: Stream) -> Self {
        Self {
            stream: Rc::new(RefCell::new(stream)),
            origin: Origin::default(),
            patience: Patience::default(),
            head: Vec::new(),
            bulk: false,
        }
    }

    /// Between two requests: false when the upstream closed it, or said what nobody asked for.
    pub(in crate::http::proxy) fn is_quiet(&self) -> bool {
        self.stream.borrow_mut().is_quiet()
    }

    /// The next bytes; none at the end of the stream.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
        self.poll_read_cut(context, <[u8]>::len)
            .map_ok(|(bytes, _)| bytes)
    }

    /// The next bytes, in two parts: `cut` says how long the first is. (Two small pieces of memory are had sooner than a
    /// large one, and one does not hold the other.)
    pub(super) fn poll_read_cut(
        &mut self,
        context: &mut Context<'_>,
        cut: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<(BytesMut, BytesMut)>> {
        let mut stream = self.stream.borrow_mut();
        if self.bulk {
            let mut bytes = BytesMut::with_capacity(PIECE);
            let count = ready!(pin!(stream.read_buf(&mut bytes)).poll(context))?;
            self.bulk = count == PIECE;
            let rest = bytes.split_off(cut(&bytes));
            return Poll::Ready(Ok((bytes, rest)));
        }
        SPACE.with_borrow_mut(|space| {
            let mut buffer = ReadBuf::new(space);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            self.bulk = buffer.remaining() == 0;
            let (first, rest) = buffer.filled().split_at(cut(buffer.filled()));
            Poll::Ready(Ok((BytesMut::from(first), BytesMut::from(rest))))
        })
    }

    /// None while something is still sent on it.
    pub(super) fn into_stream(self) -> Option<Stream> {
        Rc::into_inner(self.stream).map(RefCell::into_inner)
    }
}
