//! What becomes of workers: spawned, ready, killed, gone, replaced.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, Notice};
use super::worker::{State, Worker};
use crate::ipc::message::WorkerId;

/// How long after SIGKILL a process that still stands in the table is no longer waited for at the stop.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How much longer than its deadline a draining worker is given to leave by itself.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

impl Supervisor {
    pub(super) fn worker_spawned(&mut self, id: WorkerId) {
        match self.workers.get_mut(&id) {
            Some(worker) if worker.state == State::Spawning => worker.state = State::Starting,
            // It was to be killed before it was there.
            Some(worker) if worker.state == State::Killed => self.act(Action::Kill(id)),
            _ => {}
        }
    }

    pub(super) fn spawn_failed(&mut self, id: WorkerId, reason: String, exhausted: bool) {
        if exhausted {
            self.act(Action::Notice(Notice::Exhausted {
                reason: reason.clone(),
            }));
        }
        self.worker_exited(id, reason);
    }

    pub(super) fn worker_ready(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if !matches!(worker.state, State::Spawning | State::Starting) {
            return;
        }
        worker.enter(State::Ready, None);
        let belongs = Some(worker.generation) == self.active.as_ref().map(|pool| pool.generation);
        self.begin_heartbeat(id);
        if belongs {
            self.accept(id);
        } else {
            self.swap_when_ready();
        }
    }

    pub(in crate::core) fn accept(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.enter(State::Accepting, None);
        worker.accepting_since = Some(now);
        self.last_answer = now;
        self.act(Action::Accept(id));
    }

    pub(super) fn worker_stopped_accepting(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        match worker.state {
            State::Stopping => {
                worker.enter(State::Stopped, None);
                self.finish_swap_when_stopped();
            }
            // It would hold a place without serving.
            State::Accepting => self.kill_for(id, "stopped accepting without being asked".into()),
            _ => {}
        }
    }

    /// Takes a worker out of the accepting ones.
    pub(in crate::core) fn stop_accepting(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        match worker.state {
            State::Accepting => {
                worker.enter(State::Stopping, None);
                self.act(Action::StopAccepting(id));
            }
            State::Spawning | State::Starting | State::Ready => self.kill(id),
            _ => {}
        }
    }

    pub(in crate::core) fn drain(&mut self, id: WorkerId, deadline: Duration) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if matches!(worker.state, State::Stopping | State::Stopped) {
            worker.enter(State::Draining, Some(now + deadline + DRAIN_GRACE));
            self.act(Action::Drain {
                worker: id,
                deadline,
            });
        }
    }

    pub(super) fn worker_misbehaved(&mut self, id: WorkerId, reason: String) {
        let worker = self.workers.get(&id);
        if worker.is_some_and(|worker| worker.state != State::Killed) {
            let reason = reason.clone();
            self.act(Action::Notice(Notice::Misbehaved { worker: id, reason }));
        }
        self.kill_for(id, reason);
    }

    /// Kills a worker that failed; `reason` stands for its exit status.
    pub(super) fn kill_for(&mut self, id: WorkerId, reason: String) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.failure.is_none() && worker.state != State::Killed {
            worker.failure = Some(reason);
        }
        self.kill(id);
    }

    pub(in crate::core) fn kill(&mut self, id: WorkerId) {
        let deadline = self.now + KILL_GRACE;
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.state != State::Killed {
            worker.enter(State::Killed, Some(deadline));
            worker.heartbeat = None;
            self.act(Action::Kill(id));
        }
    }

    pub(super) fn worker_exited(&mut self, id: WorkerId, how: String) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        let how = worker.failure.clone().unwrap_or(how);
        self.refill_active(id, &worker, &how);
        self.candidate_lost(id, &how);
        self.finish_swap_when_stopped();
    }

    fn refill_active(&mut self, id: WorkerId, worker: &Worker, how: &str) {
        let now = self.now;
        let Some(slot) = self.active.as_mut().and_then(|pool| pool.slot_of(id)) else {
            return;
        };
        if worker.was_healthy(now) {
            slot.failures = 0;
        }
        let delay = slot.vacate(now);
        self.act(Action::Notice(Notice::WorkerLost {
            worker: id,
            how: how.into(),
            delay,
        }));
    }

    /// What has taken longer than it may.
    pub(super) fn expire(&mut self) {
        let now = self.now;
        let overdue = |worker: &Worker| worker.deadline.is_some_and(|deadline| deadline <= now);
        let due: Vec<(WorkerId, State)> = self
            .workers
            .iter()
            .filter(|(_, worker)| overdue(worker))
            .map(|(id, worker)| (*id, worker.state))
            .collect();
        for (id, state) in due {
            self.expire_worker(id, state);
        }
        self.expire_swap();
    }

    fn expire_worker(&mut self, id: WorkerId, state: State) {
        match state {
            State::Draining => {
                self.act(Action::Notice(Notice::DrainOverdue(id)));
                self.kill(id);
            }
            // The kernel cannot end it; the master does not wait for ever.
            State::Killed if self.stopping => {
                self.workers.remove(&id);
            }
            State::Killed => self.give_up(id),
            _ => self.kill_for(id, "was not ready within server.ready_timeout".into()),
        }
    }

    /// A process that waits for a dead disk does not even end when it is killed: its successor does not wait for that.
    fn give_up(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.deadline = None;
        let worker = worker.clone();
        let how = worker.failure.clone();
        let how = how.unwrap_or_else(|| "was killed and has not ended yet".into());
        self.refill_active(id, &worker, &how);
        self.candidate_lost(id, &how);
    }

    /// Gives a killed process a last deadline, for the stop.
    pub(super) fn bound_kill(&mut self, id: WorkerId) {
        let deadline = self.now + KILL_GRACE;
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.deadline = worker.deadline.or(Some(deadline));
        }
    }
}
