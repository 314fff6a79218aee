//! The records of workers, and the pool of slots that a generation fills with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Moment, Settings};
use super::heartbeat::Heartbeat;
use crate::ipc::message::{Generation, WorkerId};

/// A worker that served this long is no part of a crash loop.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Where a worker stands. It leaves the table only when its process is gone or was never there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Ordered, not yet confirmed.
    Spawning,
    /// Runs, has not said Ready.
    Starting,
    /// Waits for Accept.
    Ready,
    Accepting,
    /// Was asked to stop accepting.
    Stopping,
    /// Has stopped accepting.
    Stopped,
    Draining,
    Killed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Worker {
    pub generation: Generation,
    pub state: State,
    /// When it began to accept.
    pub accepting_since: Option<Moment>,
    /// When its state may last no longer.
    pub deadline: Option<Moment>,
    /// None until it is ready.
    pub heartbeat: Option<Heartbeat>,
    /// Why it was killed or says that it cannot serve.
    pub failure: Option<String>,
}

impl Worker {
    pub fn new(generation: Generation, ready_by: Moment) -> Self {
        Self {
            generation,
            state: State::Spawning,
            accepting_since: None,
            deadline: Some(ready_by),
            heartbeat: None,
            failure: None,
        }
    }

    pub fn enter(&mut self, state: State, deadline: Option<Moment>) {
        self.state = state;
        self.deadline = deadline;
    }

    /// Whether it has served long enough that its death is no loop.
    pub fn was_healthy(&self, now: Moment) -> bool {
        self.accepting_since
            .is_some_and(|since| now.saturating_sub(since) >= HEALTHY_AFTER)
    }
}

/// The workers that a generation should have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pool {
    pub generation: Generation,
    pub settings: Settings,
    pub slots: Vec<Slot>,
}

/// Room for one worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Slot {
    pub worker: Option<WorkerId>,
    /// When an empty slot is to be filled.
    pub fill_at: Option<Moment>,
    /// Failures in a row.
    pub failures: u32,
}

impl Pool {
    pub fn new(generation: Generation, settings: Settings, now: Moment) -> Self {
        let slot = Slot {
            worker: None,
            fill_at: Some(now),
            failures: 0,
        };
        let slots = vec![slot; settings.workers.max(1) as usize];
        Self {
            generation,
            settings,
            slots,
        }
    }

    pub fn slot_of(&mut self, worker: WorkerId) -> Option<&mut Slot> {
        self.slots
            .iter_mut()
            .find(|slot| slot.worker == Some(worker))
    }

    pub fn workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.slots.iter().filter_map(|slot| slot.worker)
    }
}

impl Slot {
    /// Empties the slot after a failure and says how long it will stay empty.
    pub fn vacate(&mut self, now: Moment) -> Duration {
        let delay = delay_after(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.worker = None;
        self.fill_at = Some(now + delay);
        delay
    }
}

/// The first replacement comes at once, the others ever more slowly.
fn delay_after(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        _ => (FIRST_DELAY * 2_u32.pow((failures - 1).min(10))).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_ten_seconds_and_no_further() {
        assert_eq!(delay_after(0), Duration::ZERO);
        assert_eq!(delay_after(1), Duration::from_millis(100));
        assert_eq!(delay_after(4), Duration::from_millis(800));
        assert_eq!(delay_after(u32::MAX), Duration::from_secs(10));
    }
}
