//! What of a request is still to be sent when its response has begun.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;

use tokio::task::JoinHandle;

use super::connections::Lease;
use super::outgoing::Outgoing;

/// The rest of a request. Nothing more is sent when it is dropped.
pub(super) enum Rest {
    /// The upstream answered without the body. The client, which waits to be told that it is wanted, is told nothing until
    /// the response is over.
    Withheld { _outgoing: Outgoing },
    /// Both go on at once; who reads the response slowly still gets rid of its request.
    Sent(Sending),
}

/// A task that sends.
pub(super) struct Sending {
    /// None when it goes on by itself.
    task: Option<JoinHandle<()>>,
    /// The place of the stream, when the response is whole before the request.
    place: Rc<Cell<Option<Lease>>>,
}

impl Rest {
    pub(super) fn withhold(outgoing: Outgoing) -> Self {
        Self::Withheld {
            _outgoing: outgoing,
        }
    }

    /// Sends it from now on. Needs a `LocalSet`.
    pub(super) fn send(outgoing: Outgoing) -> Self {
        let place = Rc::<Cell<Option<Lease>>>::default();
        let mut outgoing = outgoing;
        let held = place.clone();
        let task = tokio::task::spawn_local(async move {
            // The client knows by itself when its body breaks off.
            let _ = poll_fn(|context| outgoing.poll(context)).await;
            drop((outgoing, held));
        });
        Self::Sent(Sending {
            task: Some(task),
            place,
        })
    }

    pub(super) fn is_withheld(&self) -> bool {
        matches!(self, Self::Withheld { .. })
    }

    /// The response is whole: the stream leaves its place when the request is whole, too. That ends with the body, which
    /// has the client's time limits.
    pub(super) fn go_on(mut self, lease: Lease) {
        if let Self::Sent(sending) = &mut self {
            sending.place.set(Some(lease));
            drop(sending.task.take());
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Self::Sent(sending) = self {
            if let Some(task) = sending.task.take() {
                task.abort();
            }
        }
    }
}
