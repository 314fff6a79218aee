//! `Expect: 100-continue` from end to end (RFC 9110 section 10.1.1): the client is told to go on when the upstream says
//! so, or when it says nothing for a moment.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use http::HeaderMap;
use http::header::EXPECT;

/// Whether a body is wanted.
#[derive(Default)]
pub(super) struct Expectation {
    outcome: Cell<Option<Outcome>>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Wanted,
    /// The upstream had its final word without the body, and that is over, too.
    Over,
}

/// Whether a client waits to be told that its body is wanted.
pub(in crate::http) fn is_expected(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT);
    expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl Expectation {
    pub(super) fn is_settled(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// The first word counts.
    pub(super) fn settle(&self, outcome: Outcome) {
        self.outcome.set(self.outcome.get().or(Some(outcome)));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Outcome> {
        match self.outcome.get() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                *self.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
