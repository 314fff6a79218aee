//! The server's half of a connection: takes requests in, and has them answered.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::server::{Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;

use super::piece::Piece;
use super::stream;
use crate::worker::connection::request;
use crate::worker::io::ClientIo;

/// Requests answered in one turn, so that other connections have theirs.
const AT_ONCE: usize = 16;

type Arrived = (Request<RecvStream>, SendResponse<Piece>);

/// A connection with a client.
pub struct Serving {
    state: State,
    context: request::Context,
    /// Taken in and not yet answered.
    arrived: VecDeque<Arrived>,
    leaving: bool,
}

enum State {
    Handshake(Handshake<ClientIo, Piece>),
    Open(Connection<ClientIo, Piece>),
}

impl Serving {
    pub fn new(handshake: Handshake<ClientIo, Piece>, context: request::Context) -> Self {
        Self {
            state: State::Handshake(handshake),
            context,
            arrived: VecDeque::new(),
            leaving: false,
        }
    }

    /// Takes no more requests than those on their way (RFC 9113 section 6.8).
    pub fn say_goaway(&mut self) {
        self.leaving = true;
        if let State::Open(connection) = &mut self.state {
            connection.graceful_shutdown();
        }
    }

    /// Ready when the connection is over. Of a client's mistake it has heard by GOAWAY.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Handshake(handshake) = &mut self.state {
            let Ok(mut connection) = ready!(Pin::new(handshake).poll(context)) else {
                return Poll::Ready(());
            };
            if self.leaving {
                connection.graceful_shutdown();
            }
            self.state = State::Open(connection);
        }
        let mut over = self.poll_together(context);
        if over.is_pending() && !self.arrived.is_empty() {
            self.answer(AT_ONCE);
            over = self.poll_together(context);
        }
        if over.is_ready() {
            self.answer(usize::MAX);
        } else if self.arrived.is_empty() {
            self.arrived = VecDeque::new();
        } else {
            context.waker().wake_by_ref();
        }
        over
    }

    /// As [`Self::poll_take_in`]; several responses leave in one piece.
    fn poll_together(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let activity = self.context.activity.clone();
        activity.gathers.set(activity.responses.take() > 1);
        let over = self.poll_take_in(context);
        if activity.gathers.take() && over.is_pending() {
            return self.poll_take_in(context);
        }
        over
    }

    /// Moves what there is to be moved, and takes in requests. Ready when none will come.
    fn poll_take_in(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let State::Open(connection) = &mut self.state else {
            return Poll::Pending;
        };
        loop {
            match ready!(connection.poll_accept(context)) {
                Some(Ok(arrived)) => self.arrived.push_back(arrived),
                Some(Err(error)) => {
                    if error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                        self.context.activity.flooded.set(true);
                    }
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
    }

    fn answer(&mut self, most: usize) {
        let most = most.min(self.arrived.len());
        for (request, sender) in self.arrived.drain(..most) {
            stream::answer(&self.context, request, sender);
        }
    }
}
