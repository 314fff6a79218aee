//! How long an upstream is waited for.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one wait after the other: it is set anew only where it would ring too late, or rang too early.
#[derive(Default)]
pub(super) struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// Ready from `deadline` on.
    pub(super) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_timer_keeps_every_deadline() {
        let mut patience = Patience::default();
        let hour = Instant::now() + Duration::from_secs(3600);
        poll_fn(|context| {
            assert!(patience.poll(hour, context).is_pending());
            Poll::Ready(())
        })
        .await;
        for milliseconds in [5, 1, 10] {
            let deadline = Instant::now() + Duration::from_millis(milliseconds);
            poll_fn(|context| patience.poll(deadline, context)).await;
            assert!(Instant::now() >= deadline);
        }
    }
}
