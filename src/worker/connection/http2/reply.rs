//! What a client is told before it gets a response's body.

use std::cell::RefCell;
use std::task::{Context, Poll};

use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{Response, response};

use super::piece::Piece;

/// A stream's way to its client.
pub struct Reply {
    sender: RefCell<SendResponse<Piece>>,
}

impl Reply {
    pub fn new(sender: SendResponse<Piece>) -> Self {
        Self {
            sender: RefCell::new(sender),
        }
    }

    /// Ready when the client does not wait for an answer any more (RST_STREAM, or it has left).
    pub fn poll_given_up(&self, context: &mut Context<'_>) -> Poll<()> {
        self.sender.borrow_mut().poll_reset(context).map(drop)
    }

    /// Sends a response's head, which may be all of it. None when the client does not want it, or must not have it.
    pub fn respond(&self, head: response::Parts, ends: bool) -> Option<SendStream<Piece>> {
        let mut sender = self.sender.borrow_mut();
        let sent = sender.send_response(Response::from_parts(head, ()), ends);
        sent.inspect_err(|error| {
            tracing::debug!(%error, "a response was not sent");
            sender.send_reset(Reason::INTERNAL_ERROR);
        })
        .ok()
    }
}
