//! A response body on its way out, made from the chunks of `http::Body`: file ranges become slices of the file
//! window where the connection can sendfile, and blocks read by pread(2) where it cannot.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};

use super::access_log::Exchange;
use super::connection::RequestInFlight;
use super::file_window::{FileQueue, window};
use crate::http::body::{Body, BodyError, Chunk, FileSlice, file_shrank};

/// Bytes read at once from a file that goes out encrypted or as HTTP/2 frames.
pub const BLOCK: u64 = 64 * 1024;
/// The same, of the first block: over HTTP/2 a client may ask for many files and take none of them.
const FIRST_BLOCK: u64 = 16 * 1024;
/// The same, of a block for a client that takes next to nothing at a time.
const LEAST_BLOCK: u64 = 4 * 1024;

/// A response body on its way out; the connection is busy while it lives.
pub struct WireBody {
    body: Body,
    /// The rest of a file range.
    file: Option<FileSlice>,
    /// Where the connection can sendfile.
    queue: Option<Rc<FileQueue>>,
    exchange: Rc<Exchange>,
    /// A block of a file was read.
    begun: bool,
    /// Bytes that can go out now, as far as is known.
    room: u64,
    /// There is more for the client, as far as is known.
    owes: bool,
    /// HTTP/1: why it breaks off, when all that came before has left.
    broken: Option<BodyError>,
    _request: RequestInFlight,
}

impl WireBody {
    pub fn new(
        body: Body,
        queue: Option<Rc<FileQueue>>,
        exchange: Rc<Exchange>,
        request: RequestInFlight,
    ) -> Self {
        // Until it is asked for something nobody knows: HTTP/2 asks when the client's window allows.
        let owes = !body.is_end_stream();
        exchange.owes(false, owes);
        Self {
            body,
            file: None,
            queue,
            exchange,
            begun: false,
            room: u64::MAX,
            owes,
            broken: None,
            _request: request,
        }
    }

    /// Notes whether there is more for the client.
    pub fn owe(&mut self, owes: bool) {
        if self.owes != owes {
            self.exchange.owes(self.owes, owes);
            self.owes = owes;
        }
    }

    /// Whether there is more for the client, as far as is known.
    pub fn is_owed(&self) -> bool {
        self.owes
    }

    /// What it answers.
    pub fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    fn chunk(&self, data: Data) -> WireChunk {
        WireChunk {
            data,
            exchange: self.exchange.clone(),
        }
    }

    fn next_of_file(&mut self, mut slice: FileSlice) -> Result<WireChunk, BodyError> {
        let (chunk, taken) = match &self.queue {
            Some(queue) if !window().is_empty() => {
                let length = slice.length.min(window().len() as u64);
                queue.borrow_mut().push_back(FileSlice {
                    length,
                    ..slice.clone()
                });
                // The window's length is a usize, so this one is.
                (Data::Window(&window()[..length as usize]), length)
            }
            _ => {
                let most = if self.begun { BLOCK } else { FIRST_BLOCK };
                self.begun = true;
                let block = read_block(&slice, most.min(self.room.max(LEAST_BLOCK)))?;
                let length = block.len() as u64;
                (Data::Bytes(block), length)
            }
        };
        slice.offset += taken;
        slice.length -= taken;
        self.file = (slice.length > 0).then_some(slice);
        Ok(self.chunk(chunk))
    }
}

fn add(rest: SizeHint, length: u64) -> SizeHint {
    let mut sum = SizeHint::new();
    sum.set_lower(rest.lower() + length);
    if let Some(upper) = rest.upper() {
        sum.set_upper(upper + length);
    }
    sum
}

impl WireBody {
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<WireChunk>, BodyError>>> {
        if let Some(slice) = self.file.take() {
            return Poll::Ready(Some(self.next_of_file(slice).map(Frame::data)));
        }
        let frame = match ready!(self.body.poll_chunk(context)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(frame)) => frame,
        };
        Poll::Ready(Some(match frame.into_data() {
            Ok(Chunk::Bytes(bytes)) => Ok(Frame::data(self.chunk(Data::Bytes(bytes)))),
            Ok(Chunk::File(slice)) => self.next_of_file(slice).map(Frame::data),
            Err(other) => match other.into_trailers() {
                Ok(trailers) => Ok(Frame::trailers(trailers)),
                Err(_) => return Poll::Ready(None),
            },
        }))
    }
}

impl WireBody {
    /// The next part; a body may break off before what came of it has left.
    pub fn poll_part(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<WireChunk>, BodyError>>> {
        let polled = self.poll_next(context);
        self.owe(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    /// Whether the next part is there for the asking: nobody has to send it first.
    pub fn is_at_hand(&self) -> bool {
        self.file.is_some() || !matches!(self.body, Body::Stream(_))
    }

    /// Says how many bytes can go out now: much more need not be read.
    pub fn make_room(&mut self, bytes: usize) {
        self.room = bytes as u64;
    }
}

impl Drop for WireBody {
    fn drop(&mut self) {
        self.owe(false);
    }
}

/// The next block of a file range, never empty.
fn read_block(slice: &FileSlice, most: u64) -> io::Result<Bytes> {
    slice.file.check_unchanged()?;
    let mut block = Vec::with_capacity(slice.length.min(most) as usize);
    let count = rustix::io::pread(
        &*slice.file,
        rustix::buffer::spare_capacity(&mut block),
        slice.offset,
    )?;
    if count == 0 {
        return Err(file_shrank());
    }
    Ok(block.into())
}

impl http_body::Body for WireBody {
    type Data = WireChunk;
    type Error = BodyError;

    /// For hyper, which drops all that it has buffered when a body breaks off: so it hears of that when its buffer is
    /// empty. Whenever a body has nothing to give it flushes, and asks again when it could write everything.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<WireChunk>, BodyError>>> {
        if let Some(error) = self.broken.take() {
            if !self.exchange.is_blocked() {
                return Poll::Ready(Some(Err(error)));
            }
            self.broken = Some(error);
            return Poll::Pending;
        }
        match self.poll_part(context) {
            Poll::Ready(Some(Err(error))) => {
                self.broken = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.file.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.file {
            Some(slice) => add(self.body.size_hint(), slice.length),
            None => self.body.size_hint(),
        }
    }
}

/// A part of a body on its way. Its exchange is over when the last part is gone.
pub struct WireChunk {
    data: Data,
    exchange: Rc<Exchange>,
}

/// Bytes to send, or a stretch of the file window.
enum Data {
    Bytes(Bytes),
    Window(&'static [u8]),
}

impl Buf for WireChunk {
    fn remaining(&self) -> usize {
        self.chunk().len()
    }

    fn chunk(&self) -> &[u8] {
        match &self.data {
            Data::Bytes(bytes) => bytes,
            Data::Window(slice) => slice,
        }
    }

    fn advance(&mut self, count: usize) {
        self.exchange.sent(count);
        match &mut self.data {
            Data::Bytes(bytes) => bytes.advance(count),
            Data::Window(slice) => *slice = &slice[count..],
        }
    }
}
