//! What of a request is still to be sent when its response has begun.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::oneshot;

use super::super::Stream;
use super::super::expectation::{Expectation, Outcome};
use super::super::server::Server;
use super::super::upload::send_on;
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
        let (goes_on, dismissed) = oneshot::channel();
        tokio::task::spawn_local(send(outgoing, stream, state.clone(), dismissed));
        Self::Sent(Sending {
            state,
            goes_on: Some(goes_on),
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
                if let Some(goes_on) = sending.goes_on.take() {
                    // Where it is over nobody listens.
                    let _ = goes_on.send(());
                }
            }
            State::Failed | State::Handed(..) => {}
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Self::Withheld { unmet, .. } = self {
            unmet.settle(Outcome::Over);
        }
    }
}

pub(super) struct Sending {
    state: Rc<Cell<State>>,
    /// Told when it goes on by itself; dropped, it sends nothing more.
    goes_on: Option<oneshot::Sender<()>>,
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

async fn send(
    mut outgoing: Outgoing,
    stream: Rc<RefCell<Stream>>,
    state: Rc<Cell<State>>,
    dismissed: oneshot::Receiver<()>,
) {
    let sent = send_on(dismissed, |context| {
        outgoing.poll(&stream, context).map(|sent| sent.is_ok())
    });
    let sent = sent.await;
    drop(stream);
    let outcome = if sent { State::Sent } else { State::Failed };
    if let (State::Handed(link, server), true) = (state.replace(outcome), sent) {
        server.keep(link);
    }
    if !sent {
        // A body that broke off says so again.
        outgoing.into_upload().read_on().await;
    }
}
