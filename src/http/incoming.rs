//! A request body as it comes off a connection, whichever HTTP that speaks.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::body::BodyError;
use super::interim::Interim;
use super::proxy::is_expected;

/// What a client sends after a request's head.
pub enum Incoming {
    /// Nothing, or nothing that is HTTP (CONNECT).
    Empty,
    Http1(hyper::body::Incoming),
    Http2(Http2Body),
}

/// A body on an HTTP/2 stream. Reading it lets the client send as much again (RFC 9113 section 5.2).
pub struct Http2Body {
    stream: RecvStream,
    /// What is left of the announced length.
    left: Option<u64>,
    data_ended: bool,
    /// Where a client waits to hear that the body is wanted (RFC 9110 section 10.1.1).
    to_be_told: Option<Rc<dyn Interim>>,
}

impl From<hyper::body::Incoming> for Incoming {
    fn from(incoming: hyper::body::Incoming) -> Self {
        Self::Http1(incoming)
    }
}

impl Incoming {
    /// The body that comes on `stream` after a head of `headers`. A client that waits for 100 (Continue) is told so when
    /// somebody wants to read it; hyper does that over HTTP/1. One whose body has begun does not wait.
    pub fn over_http2(
        mut stream: RecvStream,
        headers: &mut HeaderMap,
        client: &Rc<dyn Interim>,
    ) -> Self {
        if stream.is_end_stream() {
            return Self::Empty;
        }
        if is_expected(headers) && stream.flow_control().used_capacity() > 0 {
            headers.remove(EXPECT);
        }
        Self::Http2(Http2Body {
            stream,
            left: announced_length(headers),
            data_ended: false,
            to_be_told: is_expected(headers).then(|| client.clone()),
        })
    }
}

/// The length in `Content-Length`; None when it is not one and the same number throughout. (That a request says nothing
/// else is the affair of `admission`, that the body is as long as it says the `h2` crate's.)
pub(super) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let value = values.next()?;
    if values.any(|other| other != value) || !value.as_bytes().iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.to_str().ok()?.parse().ok()
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Http2(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(body) => body.left.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

impl Http2Body {
    /// A stream that the client resets, for whatever reason, has no body: what came of it is not whole.
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.data_ended {
            let data = self.stream.poll_data(context);
            if let (Some(client), true) = (self.to_be_told.take(), data.is_pending()) {
                client.send(StatusCode::CONTINUE, HeaderMap::new());
            }
            match ready!(data) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(self.take(bytes)))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(context));
        let frame = trailers.map(|trailers| trailers.map(Frame::trailers));
        Poll::Ready(frame.map_err(Into::into).transpose())
    }

    fn take(&mut self, bytes: Bytes) -> Frame<Bytes> {
        // Refused only on a stream that has ended, and then nobody waits for it.
        let _ = self.stream.flow_control().release_capacity(bytes.len());
        self.left = self
            .left
            .map(|left| left.saturating_sub(bytes.len() as u64));
        Frame::data(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_known_only_when_it_is_one() {
        let announce = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_LENGTH, http::HeaderValue::from_static(value));
            }
            announced_length(&headers)
        };
        assert_eq!(announce(&["17"]), Some(17));
        assert_eq!(announce(&["17", "17"]), Some(17));
        for none in [
            &[][..],
            &["+1"],
            &["1", "2"],
            &["99999999999999999999"],
            &["1, 1"],
            &[""],
        ] {
            assert_eq!(announce(none), None, "{none:?}");
        }
    }
}
