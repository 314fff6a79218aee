//! How many requests of a pool may be sent again: few, so that retries cannot double an outage.

use std::sync::{Mutex, PoisonError};

/// In percent of the requests of the last [`WINDOW`].
const SHARE: u64 = 20;
/// Beside that, for pools with few requests.
const EACH_SECOND: u64 = 10;
/// Milliseconds after which it is counted anew.
const WINDOW: u64 = 10_000;

pub(super) struct Budget(Mutex<Window>);

struct Window {
    began: u64,
    /// That the pool had when the window began.
    requests: u64,
    /// Requests in the window before.
    before: u64,
    retries: u64,
}

impl Budget {
    /// Of a pool that had so many `requests` when it was made.
    pub(super) fn new(now: u64, requests: u64) -> Self {
        Self(Mutex::new(Window {
            began: now,
            requests,
            before: 0,
            retries: 0,
        }))
    }

    /// Takes one retry out of the budget, at `now` (milliseconds) and after so many `requests` of the pool.
    pub(super) fn take(&self, now: u64, requests: u64) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.advance(now, requests);
        let seconds = now.saturating_sub(window.began) / 1000 + 1;
        let lately = window.before + requests.saturating_sub(window.requests);
        let granted = window.retries < EACH_SECOND * seconds + lately * SHARE / 100;
        window.retries += u64::from(granted);
        granted
    }

    /// Notes how many requests there are; to be called now and then.
    pub(super) fn note(&self, now: u64, requests: u64) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.advance(now, requests);
    }
}

impl Window {
    fn advance(&mut self, now: u64, requests: u64) {
        let age = now.saturating_sub(self.began);
        if age >= WINDOW {
            let since = requests.saturating_sub(self.requests);
            *self = Self {
                began: now,
                requests,
                before: since.saturating_mul(WINDOW) / age,
                retries: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(budget: &Budget, now: u64, requests: u64) -> usize {
        (0..5000).filter(|_| budget.take(now, requests)).count()
    }

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let budget = Budget::new(20_000, 500);
        assert_eq!(granted(&budget, 20_000, 500), 10);
        assert_eq!(granted(&budget, 20_000, 500), 0);
        assert_eq!(granted(&budget, 21_000, 1_500), 210);
        // The thousand requests of the first window.
        assert_eq!(granted(&budget, 30_000, 1_500), 210);
        assert_eq!(granted(&budget, 90_000, 1_500), 10);
    }

    #[test]
    fn what_is_under_way_when_a_server_dies_finds_room() {
        let budget = Budget::new(0, 0);
        budget.note(50_000, 50_000);
        assert_eq!(granted(&budget, 51_000, 51_000), 20 + 2_000 + 200);
    }
}
