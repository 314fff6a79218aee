//! What a client is told before it gets a response's body.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, Response, StatusCode, response};

use super::piece::Piece;
use crate::http::interim::Interim;

/// A stream's way to its client: interim responses, as many as there are, and then the response.
pub struct Reply {
    sender: RefCell<SendResponse<Piece>>,
    answered: Cell<bool>,
    /// Who waits for the answer: to be woken when the client gives up.
    waiting: RefCell<Option<Waker>>,
}

impl Reply {
    pub fn new(sender: SendResponse<Piece>) -> Self {
        Self {
            sender: RefCell::new(sender),
            answered: Cell::new(false),
            waiting: RefCell::default(),
        }
    }

    /// Ready when the client does not wait for an answer any more (RST_STREAM, or it has left).
    pub fn poll_given_up(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting.borrow_mut();
        match &*waiting {
            Some(known) if known.will_wake(context.waker()) => {}
            _ => *waiting = Some(context.waker().clone()),
        }
        self.sender.borrow_mut().poll_reset(context).map(drop)
    }

    fn has_given_up(&self) -> bool {
        let waiting = self.waiting.borrow();
        let waker = waiting.as_ref().unwrap_or(Waker::noop());
        let mut sender = self.sender.borrow_mut();
        sender
            .poll_reset(&mut Context::from_waker(waker))
            .is_ready()
    }

    /// Sends a response's head, which may be all of it. None when the client does not want it, or must not have it.
    pub fn respond(&self, head: response::Parts, ends: bool) -> Option<SendStream<Piece>> {
        self.answered.set(true);
        let mut sender = self.sender.borrow_mut();
        let sent = sender.send_response(Response::from_parts(head, ()), ends);
        sent.inspect_err(|error| {
            tracing::debug!(%error, "a response was not sent");
            sender.send_reset(Reason::INTERNAL_ERROR);
        })
        .ok()
    }
}

impl Interim for Reply {
    fn send(&self, status: StatusCode, headers: HeaderMap) {
        if self.answered.get() || self.has_given_up() {
            return;
        }
        let mut interim = Response::new(());
        *interim.status_mut() = status;
        *interim.headers_mut() = headers;
        if let Err(error) = self.sender.borrow_mut().send_informational(interim) {
            tracing::debug!(%error, "an interim response was not sent");
        }
    }
}
