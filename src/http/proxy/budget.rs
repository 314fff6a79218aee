//! How many requests of a pool may be sent again: few, so that retries cannot double an outage.

use std::sync::{Mutex, PoisonError};

/// In percent of the requests.
const SHARE: u64 = 20;
/// Beside that, for pools with few requests.
const EACH_SECOND: u64 = 10;
/// Milliseconds after which it is counted anew.
const WINDOW: u64 = 10_000;

#[derive(Default)]
pub(super) struct Budget(Mutex<Window>);

#[derive(Default)]
struct Window {
    began: u64,
    /// That the pool had when the window began.
    requests: u64,
    retries: u64,
}

impl Budget {
    /// Takes one retry out of the budget, at `now` (milliseconds) and after so many `requests` of the pool.
    pub(super) fn take(&self, now: u64, requests: u64) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(window.began) >= WINDOW {
            *window = Window {
                began: now,
                requests,
                retries: 0,
            };
        }
        let seconds = now.saturating_sub(window.began) / 1000 + 1;
        let since = requests.saturating_sub(window.requests);
        let granted = window.retries < EACH_SECOND * seconds + since * SHARE / 100;
        window.retries += u64::from(granted);
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let budget = Budget::default();
        let granted = |now, requests| (0..1000).filter(|_| budget.take(now, requests)).count();
        assert_eq!(granted(20_000, 500), 10);
        assert_eq!(granted(20_000, 500), 0);
        assert_eq!(granted(21_000, 1_500), 210);
        assert_eq!(granted(30_000, 1_500), 10);
    }
}
