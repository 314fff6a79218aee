//! The body of a response as it comes (RFC 9112 sections 6 to 8).

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::super::Stream;
use super::super::server::Server;
use super::chunks::Chunks;
use super::fault::Fault;
use super::link::Link;
use super::response::Body;
use super::rest::Rest;
use crate::http::body::BodyError;

/// A response body. When it is whole, [`Self::give_back`] keeps its connection.
pub(in crate::http::proxy) struct Incoming {
    link: Link,
    /// What came of it, or after it.
    unread: Bytes,
    end: End,
    /// The connection may serve another request.
    persistent: bool,
    rest: Option<Rest>,
}

/// How the body ends.
enum End {
    /// After so many more bytes.
    After(u64),
    Chunked(Box<Chunks>),
    /// With the connection.
    Close,
}

impl Incoming {
    pub(super) fn new(
        link: Link,
        body: Body,
        persistent: bool,
        unread: Bytes,
        rest: Option<Rest>,
    ) -> Self {
        let end = match body {
            Body::Length(length) => End::After(length),
            Body::Chunked => End::Chunked(Box::default()),
            Body::Close => End::Close,
        };
        Self {
            link,
            unread,
            end,
            persistent,
            rest,
        }
    }

    /// The whole body, when that is here.
    pub(in crate::http::proxy) fn take_whole(&mut self) -> Option<Bytes> {
        if self.rest.as_ref().is_some_and(Rest::is_withheld) {
            return None;
        }
        match self.end {
            End::After(length) if length <= self.unread.len() as u64 => {
                self.end = End::After(0);
                Some(self.unread.split_to(length as usize))
            }
            _ => None,
        }
    }

    pub(in crate::http::proxy) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match self.take_frame() {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.is_end_stream() => return Poll::Ready(None),
                Ok(None) => {}
                Err(fault) => return self.fail(fault.into()),
            }
            match ready!(self.link.poll_read(context)) {
                Ok(bytes) if !bytes.is_empty() => self.unread = bytes.freeze(),
                Ok(_) if matches!(self.end, End::Close) => self.end = End::After(0),
                Ok(_) => return self.fail(Fault::Truncated.into()),
                Err(error) => return self.fail(error.into()),
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<Frame<Bytes>>, Fault> {
        let data = match &mut self.end {
            End::Close => std::mem::take(&mut self.unread),
            End::After(left) => {
                let here = self.unread.len();
                let count = usize::try_from(*left).map_or(here, |left| left.min(here));
                *left -= count as u64;
                self.unread.split_to(count)
            }
            End::Chunked(chunks) => match chunks.take_data(&mut self.unread)? {
                Some(data) => data,
                None if chunks.is_end() => return Ok(chunks.take_trailers().map(Frame::trailers)),
                None => return Ok(None),
            },
        };
        Ok((!data.is_empty()).then(|| Frame::data(data)))
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.persistent = false;
        Poll::Ready(Some(Err(error)))
    }

    pub(in crate::http::proxy) fn is_end_stream(&self) -> bool {
        match &self.end {
            End::After(left) => *left == 0,
            End::Chunked(chunks) => chunks.is_end() && !chunks.has_trailers(),
            End::Close => false,
        }
    }

    pub(in crate::http::proxy) fn size_hint(&self) -> SizeHint {
        match &self.end {
            End::After(left) => SizeHint::with_exact(*left),
            End::Chunked(_) | End::Close => SizeHint::new(),
        }
    }

    /// Keeps the connection for the next request of `server`, if it may serve one.
    pub(in crate::http::proxy) fn give_back(self, server: &Rc<Server>) {
        if !self.persistent || !self.is_end_stream() || !self.unread.is_empty() {
            return;
        }
        match self.rest {
            None => server.keep(self.link),
            Some(rest) => rest.hand_over(self.link, server),
        }
    }

    /// The connection after a 101, and how the other protocol begins.
    pub(in crate::http::proxy) fn into_stream(self) -> Option<(Stream, Bytes)> {
        drop(self.rest);
        Some((self.link.into_stream()?, self.unread))
    }
}
