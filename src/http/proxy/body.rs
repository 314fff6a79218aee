//! Bodies on their way back, from an upstream to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::expectation::{Expectation, Outcome};
use super::pool::Place;
use super::sender::Sender;
use crate::http::body::BodyError;

/// The upstream sent nothing for too long in the midst of a body.
#[derive(Debug, thiserror::Error)]
#[error("the upstream stalled while it sent the response body")]
struct Stalled;

/// A response body from an upstream; its connection is kept for the next request when it is whole.
pub(super) struct Download {
    incoming: Incoming,
    sender: Option<Sender>,
    /// None when the body is whole.
    place: Option<Place>,
    /// The client waits to be told to send a body that is not wanted.
    unmet: Option<Arc<Expectation>>,
    limit: Duration,
    /// When to give up, while we wait for the upstream.
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Download {
    pub(super) fn new(incoming: Incoming, sender: Sender, place: Place, limit: Duration) -> Self {
        Self {
            incoming,
            sender: Some(sender),
            place: Some(place),
            unmet: None,
            limit,
            deadline: None,
            timer: None,
        }
    }

    pub(super) fn without_upload(mut self, unmet: Option<Arc<Expectation>>) -> Self {
        self.unmet = unmet;
        self
    }

    fn release(&mut self) {
        if let (Some(sender), Some(place)) = (self.sender.take(), self.place.take()) {
            place.server().give_back(sender);
        }
    }

    /// Ready when the upstream was silent for too long. The timer is set anew only when it fires.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            ready!(self.poll_stalled(context));
            self.sender = None;
            return Poll::Ready(Some(Err(Stalled.into())));
        };
        self.deadline = None;
        match &frame {
            Some(Ok(_)) if !self.incoming.is_end_stream() => {}
            Some(Ok(_)) | None => self.release(),
            Some(Err(_)) => self.sender = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(unmet) = &self.unmet {
            unmet.settle(Outcome::Over);
        }
    }
}
