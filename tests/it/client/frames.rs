//! Watches the frames that an HTTP/2 server sends, for the one thing that a library does not tell: the last stream
//! that a GOAWAY leaves standing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const GOAWAY: u8 = 7;
const HEAD: usize = 9;

/// What GOAWAY frames said so far.
#[derive(Debug)]
pub struct Farewell {
    seen: AtomicBool,
    last_stream: AtomicU32,
}

impl Farewell {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: AtomicBool::new(false),
            last_stream: AtomicU32::new(u32::MAX),
        })
    }

    /// No further request is welcome on this connection.
    pub fn seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }

    /// Whether the server said that it did not and will not process this stream (RFC 9113 section 6.8).
    pub fn disowns(&self, stream: u32) -> bool {
        stream > self.last_stream.load(Ordering::Relaxed)
    }
}

/// A transport whose incoming frames are watched.
pub struct Watched<S> {
    stream: S,
    farewell: Arc<Farewell>,
    /// The head of the current frame, and the first bytes of its payload.
    head: Vec<u8>,
    /// Bytes of the current frame that are still to come.
    skip: usize,
}

impl<S> Watched<S> {
    pub fn new(stream: S) -> (Self, Arc<Farewell>) {
        let farewell = Farewell::new();
        let watched = Self {
            stream,
            farewell: farewell.clone(),
            head: Vec::new(),
            skip: 0,
        };
        (watched, farewell)
    }

    fn watch(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let part = self.skip.min(bytes.len());
                self.skip -= part;
                bytes = &bytes[part..];
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            self.frame();
        }
    }

    fn frame(&mut self) {
        let head = &self.head;
        if head.len() < HEAD {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let is_goaway = head[3] == GOAWAY && length >= 4;
        if is_goaway && head.len() < HEAD + 4 {
            return;
        }
        if is_goaway {
            let last = u32::from_be_bytes([head[9], head[10], head[11], head[12]]) & 0x7fff_ffff;
            self.farewell.last_stream.fetch_min(last, Ordering::Relaxed);
            self.farewell.seen.store(true, Ordering::Relaxed);
        }
        self.skip = HEAD + length - head.len();
        self.head.clear();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        this.watch(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[test]
fn a_goaway_is_found_however_the_bytes_are_cut() {
    let data = [0, 0, 3, 0, 0, 0, 0, 0, 1, 7, 7, 7];
    let goaway = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0];
    let bytes: Vec<u8> = data.into_iter().chain(goaway).chain(data).collect();
    for cut in 1..bytes.len() {
        let (mut watched, farewell) = Watched::new(());
        watched.watch(&bytes[..cut]);
        watched.watch(&bytes[cut..]);
        assert!(
            farewell.seen() && farewell.disowns(7) && !farewell.disowns(5),
            "cut at {cut}"
        );
    }
}
