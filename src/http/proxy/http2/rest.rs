//! What of a request is still to be sent when its response has begun.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::super::upload::send_on;
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
    /// Told when it goes on by itself; dropped, it sends nothing more.
    goes_on: Option<oneshot::Sender<()>>,
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
        let (goes_on, dismissed) = oneshot::channel();
        tokio::task::spawn_local(send(outgoing, place.clone(), dismissed));
        Self::Sent(Sending {
            goes_on: Some(goes_on),
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
            if let Some(goes_on) = sending.goes_on.take() {
                // Where it is over nobody listens.
                let _ = goes_on.send(());
            }
        }
    }
}

async fn send(
    mut outgoing: Outgoing,
    place: Rc<Cell<Option<Lease>>>,
    dismissed: oneshot::Receiver<()>,
) {
    let sent = send_on(dismissed, |context| {
        // The client knows by itself when its body breaks off.
        outgoing.poll(context).map(|sent| sent.is_ok())
    });
    let sent = sent.await;
    let upload = outgoing.into_upload();
    drop(place);
    if !sent {
        upload.read_on().await;
    }
}
