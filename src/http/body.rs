//! Bodies of requests and responses, as this room sees them: the worker turns a [`Chunk`] into bytes on the wire.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::in_flight::InFlight;
pub use super::incoming::Incoming;
use super::open_file::OpenFile;
use super::proxy::Tunnel;
use super::trailers;
use super::uploads::{Claim, Fate};

/// Why a body broke off. The connection is then closed, so that the peer sees a truncated message.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A part of a response body.
#[derive(Debug)]
pub enum Chunk {
    Bytes(Bytes),
    /// Sent by `sendfile` where the connection can.
    File(FileSlice),
}

impl Chunk {
    /// Bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(slice) => slice.length,
        }
    }
}

/// A range of an open file.
#[derive(Clone, Debug)]
pub struct FileSlice {
    pub file: Rc<OpenFile>,
    pub offset: u64,
    pub length: u64,
}

/// A response body.
#[derive(Default)]
pub enum Body {
    #[default]
    Empty,
    Full(Bytes),
    File(FileSlice),
    /// One after the other, none of them empty.
    Chunks(VecDeque<Chunk>),
    /// Comes as it comes: from an upstream.
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError>>>),
    /// None: the connection is the upstream's from here on.
    Tunnel(Box<Tunnel>),
}

impl Body {
    /// The tunnel that a response opens.
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match std::mem::take(self) {
            Self::Tunnel(tunnel) => Some(tunnel),
            body => {
                *self = body;
                None
            }
        }
    }

    /// The next part; trailers are a frame as well.
    pub fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, BodyError>>> {
        if let Self::Stream(stream) = self {
            let frame = ready!(stream.as_mut().poll_frame(context));
            return Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(Chunk::Bytes))));
        }
        if let Self::Chunks(chunks) = self {
            return Poll::Ready(chunks.pop_front().map(|chunk| Ok(Frame::data(chunk))));
        }
        let chunk = match std::mem::take(self) {
            Self::Full(bytes) if !bytes.is_empty() => Chunk::Bytes(bytes),
            Self::File(slice) if slice.length > 0 => Chunk::File(slice),
            _ => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    pub fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Tunnel(_) => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::File(slice) => slice.length == 0,
            Self::Chunks(chunks) => chunks.is_empty(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Tunnel(_) => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(slice) => SizeHint::with_exact(slice.length),
            Self::Chunks(chunks) => SizeHint::with_exact(chunks.iter().map(Chunk::length).sum()),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

/// A request body: what the client sends, up to a limit.
pub struct RequestBody {
    incoming: Incoming,
    remaining: u64,
    /// None where there is nothing to wait for.
    claim: Option<Rc<Claim>>,
    /// While the body lives its connection is not idle.
    _in_flight: InFlight,
}

/// The request body is longer than the `max_request_size` of its route, its site or all sites (RFC 9110 section 15.5.14).
#[derive(Debug, thiserror::Error)]
#[error("the request body is larger than the configured max_request_size")]
pub struct TooLarge;

impl RequestBody {
    pub fn new(incoming: Incoming, limit: u64, in_flight: InFlight) -> Self {
        Self {
            incoming,
            remaining: limit,
            claim: None,
            _in_flight: in_flight,
        }
    }

    /// Tells `claim` while a reader waits for the client to send more.
    pub fn reporting_to(mut self, claim: Option<Rc<Claim>>) -> Self {
        self.claim = claim;
        self
    }

    /// Sets another limit, in bytes from now on.
    pub(super) fn limit_to(&mut self, limit: u64) {
        self.remaining = limit;
    }

    /// It is read for its own sake from now on: how fast the client sends is not looked at.
    pub(super) fn be_patient(&self) {
        if let Some(claim) = &self.claim {
            claim.release();
        }
    }

    fn end(&self, fate: Fate) {
        if let Some(claim) = &self.claim {
            claim.end(fate);
        }
    }

    /// Whether the announced length alone is beyond the limit.
    pub fn announces_too_much(&self) -> bool {
        self.size_hint().lower() > self.remaining
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        if let Some(claim) = &self.claim {
            claim.ask();
            claim.wait(polled.is_pending());
        }
        let frame = match ready!(polled) {
            None => {
                self.end(Fate::Whole);
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.end(fate(&error));
                return Poll::Ready(Some(Err(error)));
            }
            Some(Ok(frame)) => frame,
        };
        if let Some(trailers) = frame.trailers_ref() {
            // Nothing comes after them, and nobody asks.
            self.end(Fate::Whole);
            trailers::check(trailers)?;
        }
        // Behind trailers there is nothing, and not everybody asks.
        if frame.is_trailers() {
            self.end(Fate::Whole);
        }
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        if let Some(claim) = &self.claim {
            claim.note_received(length);
        }
        match self.remaining.checked_sub(length) {
            Some(rest) => self.remaining = rest,
            None => {
                self.end(Fate::Abandoned);
                return Poll::Ready(Some(Err(TooLarge.into())));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(claim) = &self.claim {
            claim.release();
            claim.end(if self.incoming.is_end_stream() {
                Fate::Whole
            } else {
                Fate::Abandoned
            });
        }
    }
}

/// What a body that broke off with `error` has come to.
fn fate(error: &BodyError) -> Fate {
    use io::ErrorKind as Kind;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        let ended = error.downcast_ref().map(|error: &io::Error| error.kind());
        let left = matches!(
            ended,
            Some(Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe)
        );
        let reset = error.downcast_ref::<h2::Error>();
        if left || reset.is_some_and(|error| error.is_remote() || error.is_io()) {
            return Fate::ClientLeft;
        }
        cause = error.source();
    }
    Fate::Abandoned
}

/// The error of a file that became shorter while it was sent.
pub fn file_shrank() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file became shorter while it was sent",
    )
}
