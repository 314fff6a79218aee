//! A request's body on its way into a stream, as fast as the upstream's windows allow (RFC 9113 section 5.2).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::Body as _;

use super::super::upload::Upload;
use crate::http::body::BodyError;

/// Why a body is not sent to its end.
pub(super) enum Stop {
    /// The upstream takes no more. It may have answered all the same.
    Upstream,
    /// The body broke off. The upstream was told.
    Body(BodyError),
}

/// A body on its way. What is not sent when it is dropped the upstream hears of by RST_STREAM, once nobody waits for its
/// response either.
pub(super) struct Outgoing {
    stream: SendStream<Bytes>,
    upload: Upload,
    /// Taken from the upload, which may end with it, and not sent yet.
    held: Option<(Bytes, bool)>,
}

impl Outgoing {
    pub(super) fn new(stream: SendStream<Bytes>, upload: Upload) -> Self {
        Self {
            stream,
            upload,
            held: None,
        }
    }

    /// What was not taken out of the body.
    pub(super) fn into_upload(self) -> Upload {
        self.upload
    }

    /// Ready when nothing is left to be sent, or nothing more will be.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        loop {
            if let Some((_, last)) = self.held {
                ready!(self.poll_window(context))?;
                if let Some((data, _)) = self.held.take() {
                    self.send(data, last)?;
                }
                if last {
                    return Poll::Ready(Ok(()));
                }
            }
            if ready!(self.poll_upload(context))? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Ready when the upstream takes a byte more. Only for what is there: a part of the connection's window that nothing is
    /// sent for is lost to the other streams.
    fn poll_window(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.stream.capacity() > 0 {
            return Poll::Ready(Ok(()));
        }
        // What is sent asks for the rest of its length.
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(Stop::Upstream)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next piece; true when that was the end, and is sent.
    fn poll_upload(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Stop>> {
        let Poll::Ready(frame) = Pin::new(&mut self.upload).poll_frame(context) else {
            // The upstream may not want to wait for it.
            return self.stream.poll_reset(context).map(|_| Err(Stop::Upstream));
        };
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.stream.send_reset(Reason::CANCEL);
                return Poll::Ready(Err(Stop::Body(error)));
            }
            None => return Poll::Ready(self.send(Bytes::new(), true).map(|()| true)),
        };
        match frame.into_data() {
            Ok(data) => self.hold(data),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                Poll::Ready(self.send_trailers(trailers).map(|()| true))
            }
        }
    }

    /// What is empty needs no window.
    fn hold(&mut self, data: Bytes) -> Poll<Result<bool, Stop>> {
        let last = self.upload.is_end_stream();
        Poll::Ready(match (data.is_empty(), last) {
            (true, true) => self.send(data, true).map(|()| true),
            (true, false) => Ok(false),
            (false, _) => {
                self.held = Some((data, last));
                Ok(false)
            }
        })
    }

    fn send(&mut self, data: Bytes, last: bool) -> Result<(), Stop> {
        let sent = self.stream.send_data(data, last);
        sent.map_err(|_| Stop::Upstream)
    }

    /// Sends what is left of them; the body ends in any case.
    fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), Stop> {
        if trailers.is_empty() {
            return self.send(Bytes::new(), true);
        }
        self.stream.reserve_capacity(0);
        let sent = self.stream.send_trailers(trailers);
        sent.map_err(|_| Stop::Upstream)
    }
}
