//! The body of a response as it comes.

use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http_body::{Frame, SizeHint};

use super::connections::Lease;
use super::fault::Fault;
use super::rest::Rest;
use crate::http::body::BodyError;
use crate::http::byte_stream::ByteStream;
use crate::http::fields;

/// A response body, on a stream. Reading it lets the upstream send as much again (RFC 9113 section 5.2); what is not read
/// when it is dropped the upstream hears of by RST_STREAM.
pub(in crate::http::proxy) struct Incoming {
    stream: RecvStream,
    /// Looked at, and not given out.
    first: Option<Bytes>,
    /// What is left of the announced length.
    left: Option<u64>,
    data_ended: bool,
    /// What goes to the upstream after CONNECT.
    to_upstream: Option<SendStream<Bytes>>,
    rest: Option<Rest>,
    lease: Lease,
}

impl Incoming {
    /// `left` is the announced length.
    pub(super) fn new(
        stream: RecvStream,
        left: Option<u64>,
        to_upstream: Option<SendStream<Bytes>>,
        rest: Option<Rest>,
        lease: Lease,
    ) -> Self {
        Self {
            stream,
            first: None,
            left,
            data_ended: false,
            to_upstream,
            rest,
            lease,
        }
    }

    /// The whole body, when that is here and came in one piece.
    pub(in crate::http::proxy) fn take_whole(&mut self) -> Option<Bytes> {
        if self.rest.as_ref().is_some_and(Rest::is_withheld) {
            return None;
        }
        if self.is_end_stream() {
            return Some(Bytes::new());
        }
        let mut at_once = Context::from_waker(Waker::noop());
        // An error is there for whoever comes next, too.
        let Poll::Ready(Some(Ok(first))) = self.stream.poll_data(&mut at_once) else {
            return None;
        };
        if self.stream.is_end_stream() {
            return Some(self.take(first));
        }
        self.first = Some(first);
        None
    }

    pub(in crate::http::proxy) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(self.take(first)))));
        }
        if !self.data_ended {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(Frame::data(self.take(bytes))))),
                Some(Err(error)) => return Poll::Ready(self.end(error)),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(context)) {
            Ok(None) => Poll::Ready(None),
            Ok(Some(mut trailers)) => Poll::Ready(Some(match fields::tidy(&mut trailers) {
                true => Ok(Frame::trailers(trailers)),
                false => Err(Fault::Name.into()),
            })),
            Err(error) => Poll::Ready(self.end(error)),
        }
    }

    /// What came and lets the upstream send as much again.
    fn take(&mut self, bytes: Bytes) -> Bytes {
        // Refused only on a stream that has ended, and then nobody waits for it.
        let _ = self.stream.flow_control().release_capacity(bytes.len());
        let length = bytes.len() as u64;
        self.left = self.left.map(|left| left.saturating_sub(length));
        bytes
    }

    /// An upstream that has said all may cut the stream without another word (RFC 9113 section 8.1).
    fn end(&self, error: h2::Error) -> Option<Result<Frame<Bytes>, BodyError>> {
        let whole = self.left == Some(0) && error.reason() == Some(Reason::NO_ERROR);
        (!whole).then(|| Err(error.into()))
    }

    pub(in crate::http::proxy) fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.stream.is_end_stream()
    }

    pub(in crate::http::proxy) fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left),
            None if self.is_end_stream() => SizeHint::with_exact(0),
            None => SizeHint::new(),
        }
    }

    /// The response is over. A request that is not goes on when the response is whole.
    pub(in crate::http::proxy) fn give_back(self) {
        if self.is_end_stream() {
            if let Some(rest) = self.rest {
                rest.go_on(self.lease);
            }
        }
    }

    /// What a stream is after an answer to CONNECT.
    pub(in crate::http::proxy) fn into_bytes(self) -> Option<(ByteStream<Bytes>, Lease)> {
        Some((ByteStream::new(self.to_upstream?, self.stream), self.lease))
    }
}
