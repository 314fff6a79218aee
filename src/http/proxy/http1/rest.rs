//! What of a request is still to be sent when its response has begun.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;

use tokio::task::JoinHandle;

use super::super::Stream;
use super::super::expectation::{Expectation, Outcome};
use super::super::server::Server;
use super::link::Link;
use super::outgoing::Outgoing;

/// The rest of a request. Nothing more is sent when it is dropped.
pub(super) enum Rest {
    /// The upstream answered without the body. The client, which waits to be told that it is wanted, is told nothing
    /// until the response is over.
    Withheld {
        _outgoing: Box<Outgoing>,
        unmet: Rc<Expectation>,
    },
    /// Both go on at once; who reads the response slowly still gets rid of its request.
    Sent(Sending),
}

impl Rest {
    pub(super) fn withhold(outgoing: Outgoing, unmet: Rc<Expectation>) -> Self {
        Self::Withheld {
            _outgoing: Box::new(outgoing),
            unmet,
        }
    }

    /// Sends it from now on. Needs a `LocalSet`.
    pub(super) fn send(outgoing: Outgoing, stream: Rc<RefCell<Stream>>) -> Self {
        let state = Rc::new(Cell::new(State::Sending));
        let task = tokio::task::spawn_local(send(outgoing, stream, state.clone()));
        Self::Sent(Sending {
            state,
            task: Some(task),
        })
    }

    pub(super) fn is_withheld(&self) -> bool {
        matches!(self, Self::Withheld { .. })
    }

    /// The response is whole: `link` serves the next request when this one is whole, too.
    pub(super) fn hand_over(mut self, link: Link, server: &Rc<Server>) {
        let Self::Sent(sending) = &mut self else {
            return;
        };
        match sending.state.take() {
            State::Sent => server.keep(link),
            State::Sending => {
                let handed = State::Handed(link, server.clone());
                sending.state.set(handed);
                // Ends with the body: that has the client's time limits.
                drop(sending.task.take());
            }
            State::Failed | State::Handed(..) => {}
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        match self {
            Self::Withheld { unmet, .. } => unmet.settle(Outcome::Over),
            Self::Sent(sending) => {
                if let Some(task) = sending.task.take() {
                    task.abort();
                }
            }
        }
    }
}

pub(super) struct Sending {
    state: Rc<Cell<State>>,
    /// None when it goes on by itself.
    task: Option<JoinHandle<()>>,
}

#[derive(Default)]
enum State {
    Sending,
    Sent,
    #[default]
    Failed,
    /// The response is whole.
    Handed(Link, Rc<Server>),
}

async fn send(outgoing: Outgoing, stream: Rc<RefCell<Stream>>, state: Rc<Cell<State>>) {
    let mut outgoing = outgoing;
    let sent = poll_fn(|context| outgoing.poll(&stream, context)).await;
    drop((outgoing, stream));
    let outcome = match sent {
        Ok(()) => State::Sent,
        Err(_) => State::Failed,
    };
    if let (State::Handed(link, server), Ok(())) = (state.replace(outcome), sent) {
        server.keep(link);
    }
}
