//! The steps of a reload, as the pure part of the supervisor: load → start → swap → report. The boot is a reload with
//! nothing to fall back to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::supervisor::Supervisor;
use crate::core::supervisor::event::{
    Action, Cause, LoadError, Moment, Notice, Outcome, RequestId, Settings,
};
use crate::core::supervisor::worker::{Pool, State};
use crate::ipc::message::{Generation, WorkerId};

/// How often a new generation tries to start each of its workers.
const ATTEMPTS: u32 = 3;
/// How long the old workers may take to stop accepting before the reload goes on without their word.
const SWAP_TIMEOUT: Duration = Duration::from_secs(2);
/// Exit codes of a boot that failed (sysexits.h: EX_CONFIG).
const EXIT_FAILURE: u8 = 1;
const EXIT_CONFIG: u8 = 78;

/// A reload under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reload {
    requests: Vec<RequestId>,
    started: Moment,
    phase: Phase,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    Loading,
    /// The new generation starts; the old one serves.
    Starting(Pool),
    /// The new generation accepts; the old one stops to.
    Swapping {
        until: Moment,
        old: Vec<WorkerId>,
    },
}

impl Reload {
    pub(in crate::core) fn is_loading(&self) -> bool {
        matches!(self.phase, Phase::Loading)
    }

    pub(in crate::core) fn candidate(&self) -> Option<&Pool> {
        match &self.phase {
            Phase::Starting(pool) => Some(pool),
            _ => None,
        }
    }

    pub(in crate::core) fn candidate_mut(&mut self) -> Option<&mut Pool> {
        match &mut self.phase {
            Phase::Starting(pool) => Some(pool),
            _ => None,
        }
    }

    pub(in crate::core) fn swap_deadline(&self) -> Option<Moment> {
        match self.phase {
            Phase::Swapping { until, .. } => Some(until),
            _ => None,
        }
    }

    pub(in crate::core) fn requests(self) -> Vec<RequestId> {
        self.requests
    }
}

impl Supervisor {
    pub(in crate::core) fn request_reload(&mut self, request: RequestId) {
        if self.stopping {
            return self.refuse(vec![request]);
        }
        self.queued.push(request);
    }

    /// Whoever asked during a reload waits for this one: the file may have changed after the other was loaded.
    pub(in crate::core) fn begin_queued_reload(&mut self) {
        if self.reload.is_none() && !self.queued.is_empty() && self.active.is_some() {
            let requests = std::mem::take(&mut self.queued);
            self.begin_reload(requests);
        }
    }

    pub(in crate::core) fn begin_reload(&mut self, requests: Vec<RequestId>) {
        if self.active.is_some() {
            self.act(Action::NotifyReloading);
        }
        self.reload = Some(Reload {
            requests,
            started: self.now,
            phase: Phase::Loading,
        });
        self.act(Action::LoadConfig);
    }

    /// A program became another one to load a configuration with it.
    pub(in crate::core) fn resume_reload(&mut self) {
        if self.reload.as_ref().is_some_and(Reload::is_loading) {
            self.act(Action::LoadConfig);
        }
    }

    pub(in crate::core) fn config_loaded(&mut self, result: Result<Settings, LoadError>) {
        let now = self.now;
        let Some(reload) = self.reload.as_mut() else {
            return;
        };
        if !reload.is_loading() {
            return;
        }
        match result {
            Err(error) => self.fail_reload(error.cause, error.message),
            Ok(settings) => {
                self.last_generation += 1;
                let pool = Pool::new(Generation(self.last_generation), settings, now);
                reload.phase = Phase::Starting(pool);
            }
        }
    }

    /// A worker of the new generation is gone before its generation was in force.
    pub(in crate::core) fn candidate_lost(&mut self, worker: WorkerId, how: &str) {
        let now = self.now;
        let candidate = self.reload.as_mut().and_then(Reload::candidate_mut);
        let Some(slot) = candidate.and_then(|pool| pool.slot_of(worker)) else {
            return;
        };
        // The first retry waits as well: what just failed will hardly work in the same millisecond.
        slot.failures = slot.failures.max(1);
        let delay = slot.vacate(now);
        if slot.failures > ATTEMPTS {
            let message = format!("a new worker did not start in {ATTEMPTS} attempts: {how}");
            return self.fail_reload(Cause::Worker, message);
        }
        self.act(Action::Notice(Notice::StartFailed {
            worker,
            reason: how.into(),
            delay,
        }));
    }

    pub(in crate::core) fn swap_when_ready(&mut self) {
        let Some(candidate) = self.reload.as_ref().and_then(Reload::candidate) else {
            return;
        };
        let state = |id: WorkerId| self.workers.get(&id).map(|worker| worker.state);
        let ready = candidate
            .workers()
            .filter(|id| state(*id) == Some(State::Ready))
            .count();
        if ready == candidate.slots.len() {
            self.swap();
        }
    }

    fn swap(&mut self) {
        let until = self.now + SWAP_TIMEOUT;
        let Some(reload) = self.reload.as_mut() else {
            return;
        };
        let old: Vec<WorkerId> = self.active.iter().flat_map(Pool::workers).collect();
        let phase = Phase::Swapping {
            until,
            old: old.clone(),
        };
        let Phase::Starting(mut pool) = std::mem::replace(&mut reload.phase, phase) else {
            unreachable!("only a generation that starts becomes ready")
        };
        pool.slots.iter_mut().for_each(|slot| slot.failures = 0);
        let (generation, new) = (pool.generation, pool.workers().collect::<Vec<_>>());
        self.active = Some(pool);
        self.version += 1;
        self.act(Action::Activate {
            generation,
            version: self.version,
        });
        new.into_iter().for_each(|id| self.accept(id));
        old.into_iter().for_each(|id| self.stop_accepting(id));
        self.finish_swap_when_stopped();
    }

    pub(in crate::core) fn finish_swap_when_stopped(&mut self) {
        let Some(reload) = self.reload.as_ref() else {
            return;
        };
        let Phase::Swapping { old, .. } = &reload.phase else {
            return;
        };
        let state = |id: &WorkerId| self.workers.get(id).map(|worker| worker.state);
        if !old.iter().any(|id| state(id) == Some(State::Stopping)) {
            self.finish_swap();
        }
    }

    pub(in crate::core) fn expire_swap(&mut self) {
        let now = self.now;
        let deadline = self.reload.as_ref().and_then(Reload::swap_deadline);
        if deadline.is_some_and(|until| until <= now) {
            self.finish_swap();
        }
    }

    fn finish_swap(&mut self) {
        let Some(reload) = self.reload.take() else {
            return;
        };
        let Phase::Swapping { old, .. } = reload.phase else {
            self.reload = Some(reload);
            return;
        };
        let Some(pool) = &self.active else { return };
        let (generation, deadline) = (pool.generation, pool.settings.shutdown_timeout);
        let took = self.now.saturating_sub(reload.started);
        let silent = |id: &WorkerId| {
            self.workers
                .get(id)
                .is_some_and(|worker| worker.state == State::Stopping)
        };
        let notices: Vec<WorkerId> = old.iter().copied().filter(silent).collect();
        notices
            .into_iter()
            .for_each(|id| self.act(Action::Notice(Notice::NotStopped(id))));
        self.act(Action::NotifyReady);
        let version = self.version;
        self.report(
            reload.requests,
            Outcome::Succeeded {
                version,
                generation,
                took,
            },
        );
        old.into_iter().for_each(|id| self.drain(id, deadline));
    }

    /// Leaves everything as it was before the reload. Without anything to fall back to, the master ends.
    fn fail_reload(&mut self, cause: Cause, message: String) {
        let Some(reload) = self.reload.take() else {
            return;
        };
        if let Phase::Starting(pool) = &reload.phase {
            pool.workers().for_each(|id| self.kill(id));
        }
        let boots = self.active.is_none();
        if !boots {
            self.act(Action::NotifyReady);
        }
        let mut requests = reload.requests;
        if boots {
            requests.append(&mut self.queued);
        }
        let (version, took) = (self.version, self.now.saturating_sub(reload.started));
        self.report(
            requests,
            Outcome::Failed {
                cause,
                message,
                version,
                took,
            },
        );
        if boots {
            self.exit(if cause == Cause::Configuration {
                EXIT_CONFIG
            } else {
                EXIT_FAILURE
            });
        }
    }
}
