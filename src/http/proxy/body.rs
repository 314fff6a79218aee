//! Bodies on their way: [`Upload`] from the client to an upstream, [`Download`] back.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::pool::Place;
use super::sender::Sender;
use crate::http::body::{BodyError, RequestBody, TooLarge};

/// A request body for an upstream.
pub(super) struct Upload(Option<(RequestBody, Rc<Progress>)>);

impl Upload {
    pub(super) fn new(body: RequestBody) -> Self {
        if body.is_end_stream() {
            Self::empty()
        } else {
            Self(Some((body, Rc::new(Progress::new()))))
        }
    }

    pub(super) fn empty() -> Self {
        Self(None)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn progress(&self) -> Option<Rc<Progress>> {
        self.0.as_ref().map(|(_, progress)| progress.clone())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some((body, progress)) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(&mut *body).poll_frame(context);
        progress.note(&frame);
        if matches!(frame, Poll::Ready(Some(Ok(_)))) && body.is_end_stream() {
            progress.enter(Phase::Upstream);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |(body, _)| body.size_hint())
    }
}

/// Whom a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client has to send more: its limits are not ours.
    Client,
    /// The upstream has to take what it was given.
    Writing,
    /// All is sent; the upstream has to answer.
    Upstream,
}

/// Why an upload broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadFailure {
    TooLarge,
    ClientGone,
}

/// How far an upload has come, seen from outside of it.
pub(super) struct Progress {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    failure: Cell<Option<UploadFailure>>,
}

impl Progress {
    fn new() -> Self {
        Self {
            phase: Cell::new(Phase::Writing),
            since: Cell::new(Instant::now()),
            failure: Cell::new(None),
        }
    }

    pub(super) fn failure(&self) -> Option<UploadFailure> {
        self.failure.get()
    }

    /// When the upstream will have been silent for too long, as things stand.
    pub(super) fn deadline(&self, read: Duration, write: Duration) -> Instant {
        match self.phase.get() {
            Phase::Client => Instant::now() + read,
            Phase::Writing => self.since.get() + write,
            Phase::Upstream => self.since.get() + read,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
    }

    fn note(&self, frame: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) {
        match frame {
            Poll::Pending => self.phase.set(Phase::Client),
            Poll::Ready(Some(Ok(_))) => self.enter(Phase::Writing),
            Poll::Ready(None) => self.enter(Phase::Upstream),
            Poll::Ready(Some(Err(error))) => {
                let too_large = error.downcast_ref::<TooLarge>().is_some();
                let failure = if too_large {
                    UploadFailure::TooLarge
                } else {
                    UploadFailure::ClientGone
                };
                self.failure.set(Some(failure));
            }
        }
    }
}

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
            limit,
            deadline: None,
            timer: None,
        }
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
