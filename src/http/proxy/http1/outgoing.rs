//! A request on its way: the head, and the body as it comes (RFC 9112 sections 6 and 7).

use std::cell::RefCell;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::header::TRAILER;
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use tokio::io::AsyncWrite as _;

use super::super::Stream;
use super::super::upload::Upload;
use super::request::{Extent, Message, write_field, write_head};
use crate::http::body::BodyError;

/// Why a request is not sent to its end.
pub(super) enum Stop {
    /// The upstream takes no more.
    Write(io::Error),
    /// The body broke off.
    Body(BodyError),
}

/// A request on its way.
pub(super) struct Outgoing {
    /// The head, or the line before a chunk: what comes before `data`.
    front: Vec<u8>,
    /// How much of it is sent.
    at: usize,
    data: Bytes,
    /// What comes after `data`.
    back: &'static [u8],
    upload: Upload,
    extent: Extent,
    /// Of a body with a length, what has not come yet.
    left: u64,
    /// Trailers that were announced.
    trailers: Vec<HeaderName>,
    /// The body is in `data`, or sent.
    ended: bool,
    /// Nothing is sent, and no more than `data` was taken out of `upload`.
    untouched: bool,
}

impl Outgoing {
    /// `front` is empty; its memory is used.
    pub(super) fn new(front: Vec<u8>, message: &Message<'_>, upload: Upload) -> Self {
        let (mut front, extent) = (front, Extent::of(message.method, &upload));
        write_head(&mut front, message, extent);
        Self {
            front,
            at: 0,
            data: Bytes::new(),
            back: b"",
            ended: upload.is_empty(),
            upload,
            extent,
            left: match extent {
                Extent::Length(length) => length,
                Extent::None | Extent::Chunked => 0,
            },
            trailers: match extent {
                Extent::Chunked => announced(message.headers),
                Extent::None | Extent::Length(_) => Vec::new(),
            },
            untouched: true,
        }
    }

    /// Ready when all is sent.
    pub(super) fn poll(
        &mut self,
        stream: &RefCell<Stream>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Stop>> {
        loop {
            let piece = self.poll_piece(context).map_err(Stop::Body)?;
            let mut stream = stream.borrow_mut();
            ready!(self.poll_write(&mut stream, context)).map_err(Stop::Write)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            ready!(piece);
        }
    }

    /// The memory of the head.
    pub(super) fn into_front(self) -> Vec<u8> {
        self.front
    }

    /// What was not taken out of the body.
    pub(super) fn into_upload(self) -> Upload {
        self.upload
    }

    /// The whole body, when nothing was sent.
    pub(super) fn into_unsent(self) -> Option<Upload> {
        let mut upload = self.upload;
        upload.put_back(self.data);
        self.untouched.then_some(upload)
    }

    /// Whether nothing was sent, and the body can go elsewhere.
    pub(super) fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Ready when there is something to send, or nothing more will be. The first piece goes with the head.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if self.ended || !self.data.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let Some(frame) = ready!(Pin::new(&mut self.upload).poll_frame(context)).transpose()?
        else {
            return Poll::Ready(self.end());
        };
        Poll::Ready(match frame.into_data() {
            Ok(data) => self.queue(data),
            Err(frame) => {
                self.untouched = false;
                self.end_with(frame.trailers_ref())
            }
        })
    }

    fn queue(&mut self, data: Bytes) -> Result<(), BodyError> {
        let length = data.len() as u64;
        let last = self.upload.is_end_stream();
        if self.extent == Extent::Chunked && length > 0 {
            // Writing to a Vec does not fail.
            let _ = write!(self.front, "{length:X}\r\n");
            self.back = if last { b"\r\n0\r\n\r\n" } else { b"\r\n" };
            self.ended = last;
        } else if self.extent != Extent::Chunked {
            let left = self.left.checked_sub(length);
            self.left = left.ok_or("the request's body is longer than it said")?;
            self.ended = last && self.left == 0;
        }
        self.data = data;
        Ok(())
    }

    fn end(&mut self) -> Result<(), BodyError> {
        self.end_with(None)
    }

    fn end_with(&mut self, trailers: Option<&HeaderMap>) -> Result<(), BodyError> {
        if self.left > 0 {
            return Err("the request's body is shorter than it said".into());
        }
        self.ended = true;
        if self.extent != Extent::Chunked {
            return Ok(());
        }
        self.front.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            if self.trailers.contains(name) {
                write_field(&mut self.front, name.as_str(), value.as_bytes());
            }
        }
        self.front.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Ready when all that is there is sent.
    fn poll_write(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        loop {
            let front = &self.front[self.at..];
            let count = if self.data.is_empty() && self.back.is_empty() {
                if front.is_empty() {
                    break;
                }
                ready!(stream.as_mut().poll_write(context, front))?
            } else {
                let slices = [front, &self.data, self.back].map(IoSlice::new);
                ready!(stream.as_mut().poll_write_vectored(context, &slices))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.untouched = false;
            self.note_written(count);
        }
        self.front.clear();
        self.at = 0;
        stream.poll_flush(context)
    }

    fn note_written(&mut self, count: usize) {
        let of_front = count.min(self.front.len() - self.at);
        self.at += of_front;
        let of_data = (count - of_front).min(self.data.len());
        self.data.advance(of_data);
        self.back = &self.back[count - of_front - of_data..];
    }
}

/// The fields that `Trailer` names. (Those that may not stand there do not come: see `guarded`.)
fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(TRAILER)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}
