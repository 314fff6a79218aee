//! Watches the frames of an HTTP/2 connection for what a library does not tell: the last stream that a GOAWAY leaves
//! standing, and whether a request left after GOAWAY had come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
/// A frame's head, and as much of its payload as names the last stream of a GOAWAY.
const HEAD: usize = 9;
const ENOUGH: usize = HEAD + 4;
/// What a client sends before its first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// What GOAWAY frames said so far.
#[derive(Debug)]
pub struct Farewell {
    seen: AtomicBool,
    last_stream: AtomicU32,
    first_late: AtomicU32,
}

impl Farewell {
    fn new() -> Arc<Self> {
        let none = || AtomicU32::new(u32::MAX);
        Arc::new(Self {
            seen: AtomicBool::new(false),
            last_stream: none(),
            first_late: none(),
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

    /// Whether this side opened the stream although GOAWAY was there: the client's own fault.
    pub fn came_before(&self, stream: u32) -> bool {
        stream >= self.first_late.load(Ordering::Relaxed)
    }
}

/// Cuts bytes into frames, keeping only the beginning of each.
struct Cutter {
    head: Vec<u8>,
    /// Bytes that are still to come before the next frame.
    skip: usize,
}

impl Cutter {
    fn new(skip: usize) -> Self {
        Self {
            head: Vec::with_capacity(ENOUGH),
            skip,
        }
    }

    /// Calls `see` with each frame's type, stream and first payload word.
    fn feed(&mut self, mut bytes: &[u8], mut see: impl FnMut(u8, u32, u32)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let Some((byte, rest)) = bytes.split_first() else {
                return;
            };
            self.head.push(*byte);
            bytes = rest;
            self.end_of_head(&mut see);
        }
    }

    fn end_of_head(&mut self, see: &mut impl FnMut(u8, u32, u32)) {
        let head = &self.head;
        if head.len() < HEAD {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        if head.len() < ENOUGH.min(HEAD + length) {
            return;
        }
        let word = |at: usize| {
            let bytes: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(bytes) & 0x7fff_ffff)
        };
        see(head[3], word(5).unwrap_or(0), word(HEAD).unwrap_or(0));
        self.skip = HEAD + length - head.len();
        self.head.clear();
    }
}

/// A transport whose frames are watched.
pub struct Watched<S> {
    stream: S,
    farewell: Arc<Farewell>,
    incoming: Cutter,
    outgoing: Cutter,
}

impl<S> Watched<S> {
    pub fn new(stream: S) -> (Self, Arc<Farewell>) {
        let farewell = Farewell::new();
        let (incoming, outgoing) = (Cutter::new(0), Cutter::new(PREFACE));
        let watched = Self {
            stream,
            farewell: farewell.clone(),
            incoming,
            outgoing,
        };
        (watched, farewell)
    }

    fn received(&mut self, bytes: &[u8]) {
        let farewell = &self.farewell;
        self.incoming.feed(bytes, |kind, _, last| {
            if kind == GOAWAY {
                farewell.last_stream.fetch_min(last, Ordering::Relaxed);
                farewell.seen.store(true, Ordering::Relaxed);
            }
        });
    }

    fn sent(&mut self, bytes: &[u8]) {
        let farewell = &self.farewell;
        self.outgoing.feed(bytes, |kind, stream, _| {
            if kind == HEADERS && farewell.seen() {
                farewell.first_late.fetch_min(stream, Ordering::Relaxed);
            }
        });
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
        this.received(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.sent(&bytes[..written]);
        Poll::Ready(Ok(written))
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
    let empty = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    let goaway = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0];
    let bytes = [&data[..], &empty, &goaway, &data].concat();
    for cut in 1..bytes.len() {
        let (mut watched, farewell) = Watched::new(());
        watched.received(&bytes[..cut]);
        watched.received(&bytes[cut..]);
        assert!(
            farewell.seen() && farewell.disowns(7) && !farewell.disowns(5),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_request_after_goaway_is_late() {
    let (mut watched, farewell) = Watched::new(());
    let headers = |stream| [0, 0, 1, HEADERS, 5, 0, 0, 0, stream, 0x82];
    watched.sent(&[&[b'P'; PREFACE][..], &headers(1)].concat());
    watched.received(&[
        0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    watched.sent(&headers(3));
    assert!(farewell.came_before(3) && !farewell.came_before(1));
}
