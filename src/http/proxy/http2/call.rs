//! One request on a stream, until the head of its response is there.

use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::{Request, Response, StatusCode};

use super::super::expectation::{Expectation, Outcome};
use super::super::headers;
use super::super::http1::{Extent, Message};
use super::super::interim::Hear;
use super::super::sender::SendError;
use super::super::upload::Upload;
use super::connections::Lease;
use super::fault::{Ended, Fault, judge};
use super::incoming::Incoming;
use super::outgoing::{Outgoing, Stop};
use super::request::head;
use super::rest::Rest;
use crate::http::fields;
use crate::http::incoming::announced_length;

/// Most bytes of heads before the final one, counted as RFC 9113 section 6.5.2 has it.
const MAX_INTERIM: usize = 256 * 1024;
/// Of a field, beside its name and value.
const FIELD: usize = 32;
/// Of `:status`.
const STATUS: usize = FIELD + 10;

/// A request that has no response yet. The upstream hears by RST_STREAM when it is dropped.
pub(in crate::http::proxy) struct Call<'a> {
    lease: Lease,
    response: ResponseFuture,
    /// None when all is sent, or no more is taken.
    outgoing: Option<Outgoing>,
    /// What the upstream did not take of the body.
    unwanted: Option<Upload>,
    /// After CONNECT.
    to_upstream: Option<SendStream<Bytes>>,
    /// How often something was sent on the connection before.
    writes: u64,
    /// The upstream allows one more stream: until then no body is sent.
    opened: bool,
    /// It said nothing.
    silent: bool,
    expectation: Option<Rc<Expectation>>,
    hear: Hear<'a>,
    /// Bytes of heads that it was told.
    interim: usize,
}

impl<'a> Call<'a> {
    /// Sends a request that is made for HTTP/1.1; with an `expectation` the upstream's 100 settles it. `Err`: nothing can be
    /// sent on this connection any more, and the body is still whole.
    pub(in crate::http::proxy) fn new(
        lease: Lease,
        message: &Message<'_>,
        upload: Upload,
        expectation: Option<Rc<Expectation>>,
        hear: Hear<'a>,
    ) -> Result<Self, Upload> {
        let extent = Extent::of(message.method, &upload);
        let request = head(message, extent, lease.scheme());
        match Self::begin(lease, request, upload.is_empty(), hear) {
            Some((call, _)) if upload.is_empty() => Ok(call),
            Some((mut call, stream)) => {
                call.outgoing = Some(Outgoing::new(stream, upload));
                call.expectation = expectation;
                Ok(call)
            }
            None => Err(upload),
        }
    }

    /// Sends a CONNECT. None: nothing can be sent on this connection any more.
    pub(in crate::http::proxy) fn connect(
        lease: Lease,
        request: Request<()>,
        hear: Hear<'a>,
    ) -> Option<Self> {
        let (mut call, stream) = Self::begin(lease, request, false, hear)?;
        call.to_upstream = Some(stream);
        Some(call)
    }

    fn begin(
        mut lease: Lease,
        request: Request<()>,
        ends: bool,
        hear: Hear<'a>,
    ) -> Option<(Self, SendStream<Bytes>)> {
        let writes = lease.writes();
        let sent = lease.sender().send_request(request, ends);
        let (response, stream) = sent
            .inspect_err(|error| tracing::debug!(%error, "a request was not sent"))
            .ok()?;
        let call = Self {
            lease,
            response,
            outgoing: None,
            unwanted: None,
            to_upstream: None,
            writes,
            opened: false,
            silent: true,
            expectation: None,
            hear,
            interim: 0,
        };
        Some((call, stream))
    }

    /// Ready once: [`Self::finish`] makes the response of it.
    pub(in crate::http::proxy) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<RecvStream>, Ended>> {
        self.send(context)?;
        loop {
            match ready!(self.response.poll_informational(context)) {
                Some(Ok(interim)) => self.note(interim).map_err(Ended::Fault)?,
                Some(Err(error)) => return Poll::Ready(Err(Ended::Stream(error))),
                None => break,
            }
        }
        let response = ready!(Pin::new(&mut self.response).poll(context));
        Poll::Ready(response.map_err(Ended::Stream))
    }

    fn send(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        let Some(outgoing) = &mut self.outgoing else {
            return Ok(());
        };
        if !self.opened {
            // An error is the response's, too.
            self.opened = matches!(self.lease.sender().poll_ready(context), Poll::Ready(Ok(())));
        }
        if !self.opened {
            return Ok(());
        }
        match outgoing.poll(context) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => self.outgoing = None,
            Poll::Ready(Err(Stop::Upstream)) => {
                self.unwanted = self.outgoing.take().map(Outgoing::into_upload);
            }
            Poll::Ready(Err(Stop::Body(error))) => return Err(Ended::Body(error)),
        }
        Ok(())
    }

    fn note(&mut self, interim: Response<()>) -> Result<(), Fault> {
        self.silent = false;
        let length = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len() + FIELD
        };
        self.interim += STATUS + interim.headers().iter().map(length).sum::<usize>();
        if self.interim > MAX_INTERIM {
            return Err(Fault::Interim);
        }
        match (interim.status(), &self.expectation) {
            (StatusCode::SWITCHING_PROTOCOLS, _) => return Err(Fault::Switch),
            (StatusCode::CONTINUE, Some(expectation)) => expectation.settle(Outcome::Wanted),
            // Nobody has asked.
            (StatusCode::CONTINUE, None) => {}
            _ => self.tell(interim)?,
        }
        Ok(())
    }

    fn tell(&self, mut interim: Response<()>) -> Result<(), Fault> {
        if !fields::tidy(interim.headers_mut()) {
            return Err(Fault::Name);
        }
        headers::strip_hop_by_hop(interim.headers_mut());
        (self.hear)(interim);
        Ok(())
    }

    pub(in crate::http::proxy) fn finish(
        self,
        outcome: Result<Response<RecvStream>, Ended>,
    ) -> Result<Response<Incoming>, SendError> {
        match outcome {
            Ok(response) => Ok(self.respond(response)),
            // Nothing of it was sent.
            Err(Ended::Stream(_)) if self.lease.writes() == self.writes => Err(SendError::Refused),
            Err(Ended::Stream(error)) => Err(judge(&error, self.silent)),
            Err(Ended::Fault(error)) => {
                tracing::debug!(%error, "no sound response from the upstream");
                Err(SendError::Unsound)
            }
            Err(Ended::Body(error)) => {
                tracing::debug!(%error, "a request's body broke off");
                Err(SendError::Unsound)
            }
        }
    }

    fn respond(self, response: Response<RecvStream>) -> Response<Incoming> {
        let Self {
            lease,
            outgoing,
            unwanted,
            to_upstream,
            expectation,
            ..
        } = self;
        if let Some(unwanted) = unwanted {
            unwanted.let_go();
        }
        let unmet = expectation.is_some_and(|it| !it.is_settled());
        let rest = outgoing.map(|outgoing| match unmet {
            true => Rest::withhold(outgoing),
            false => Rest::send(outgoing),
        });
        let left = announced_length(response.headers());
        response.map(|stream| Incoming::new(stream, left, to_upstream, rest, lease))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::uri::Scheme;
    use http::{HeaderMap, HeaderValue, Method};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    use super::super::super::Stream;
    use super::super::super::names::Origin;
    use super::super::connections::Multiplexed;
    use super::*;
    use crate::http::testing::run;

    /// Preface, SETTINGS of three, WINDOW_UPDATE.
    const HELLO: usize = 24 + 9 + 3 * 6 + 9 + 4;

    /// What comes of a request when the upstream leaves, and has read more than the beginning or not.
    async fn leaves(reads: bool) -> Option<SendError> {
        let (near, mut far) = UnixStream::pair().unwrap();
        let connections = Multiplexed::default();
        let opened = connections.open(Stream::Unix(near), Origin::default(), Scheme::HTTP);
        let lease = opened.await.unwrap();
        far.read_exact(&mut [0; HELLO]).await.unwrap();
        let message = Message {
            method: &Method::POST,
            target: &"/".parse().unwrap(),
            host: &HeaderValue::from_static("up"),
            headers: &HeaderMap::new(),
            expects: false,
        };
        let call = Call::new(lease, &message, Upload::empty(), None, &|_| ());
        let mut call = call.ok().unwrap();
        if reads {
            far.read_exact(&mut [0; 9]).await.unwrap();
        }
        drop(far);
        let outcome = poll_fn(|context| call.poll_head(context)).await;
        call.finish(outcome).err()
    }

    #[test]
    fn what_was_not_sent_when_the_upstream_left_may_go_elsewhere() {
        run(async {
            assert!(matches!(leaves(false).await, Some(SendError::Refused)));
            assert!(matches!(leaves(true).await, Some(SendError::Silent)));
        });
    }
}
