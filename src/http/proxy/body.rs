//! Bodies on their way back, from an upstream to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::patience::Patience;
use super::pool::Place;
use super::sender::Incoming;
use crate::http::body::BodyError;

/// The upstream sent nothing for too long in the midst of a body.
#[derive(Debug, thiserror::Error)]
#[error("the upstream stalled while it sent the response body")]
struct Stalled;

/// A response body from an upstream; its connection is kept for the next request when it is whole.
pub(super) struct Download {
    /// None when it is over.
    open: Option<(Incoming, Place)>,
    limit: Duration,
    /// When to give up, while we wait for the upstream.
    deadline: Option<Instant>,
    patience: Patience,
}

impl Download {
    pub(super) fn new(incoming: Incoming, place: Place, limit: Duration) -> Self {
        Self {
            open: Some((incoming, place)),
            limit,
            deadline: None,
            patience: Patience::default(),
        }
    }

    fn release(&mut self) {
        if let Some((incoming, place)) = self.open.take() {
            incoming.give_back(place.server());
        }
    }

    /// Ready when the upstream was silent for too long.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        self.patience.poll(deadline, context)
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some((incoming, _)) = &mut self.open else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = incoming.poll_frame(context) else {
            ready!(self.poll_stalled(context));
            self.open = None;
            return Poll::Ready(Some(Err(Stalled.into())));
        };
        self.deadline = None;
        let over = !matches!(frame, Some(Ok(_))) || self.is_end_stream();
        if over {
            self.release();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let open = self.open.as_ref();
        open.is_none_or(|(incoming, _)| incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let open = self.open.as_ref();
        open.map_or(SizeHint::with_exact(0), |(incoming, _)| {
            incoming.size_hint()
        })
    }
}
