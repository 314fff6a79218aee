//! `Expect: 100-continue` from end to end (RFC 9110 section 10.1.1): the client is told to go on when the upstream says
//! so, or when it says nothing for a moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use http::header::EXPECT;
use http::{HeaderMap, HeaderValue, Request, StatusCode};

use super::upload::Upload;

/// Whether a body is wanted. (hyper tells of interim responses through what could be another thread.)
#[derive(Default)]
pub(super) struct Expectation(Mutex<State>);

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Wanted,
    /// The upstream had its final word without the body, and that is over, too.
    Over,
}

/// Whether a client waits to be told that its body is wanted.
pub(super) fn is_expected(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT);
    expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl Expectation {
    /// Lets the body of `request` wait for the upstream's 100.
    pub(super) fn attach(request: &mut Request<Upload>) -> Arc<Self> {
        let expectation = Arc::<Self>::default();
        let value = HeaderValue::from_static("100-continue");
        request.headers_mut().insert(EXPECT, value);
        request.body_mut().wait_for(expectation.clone());
        let told = expectation.clone();
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                told.settle(Outcome::Wanted);
            }
        });
        expectation
    }

    pub(super) fn is_settled(&self) -> bool {
        self.state().outcome.is_some()
    }

    /// The first word counts.
    pub(super) fn settle(&self, outcome: Outcome) {
        let mut state = self.state();
        state.outcome.get_or_insert(outcome);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.state();
        match state.outcome {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
