//! The master's decisions as a pure state machine: an event and the time come in, actions go out. No clock, no input
//! or output, no chance; `simulation.rs` runs it through thousands of random schedules.
//!
//! A reload is in `core::hot_reload::machine`, the way out in `stop.rs`, what becomes of workers in `lifecycle.rs`, and
//! whether they turn at all in `heartbeat.rs`.

pub mod event;
pub mod heartbeat;
mod lifecycle;
#[cfg(test)]
mod simulation;
mod stop;
pub mod worker;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use event::{Action, Event, Moment, Outcome, RequestId};
use heartbeat::Rhythm;
use worker::{Pool, State, Worker};

use crate::core::hot_reload::machine::Reload;
use crate::ipc::message::{Generation, WorkerId};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Supervisor {
    pub(in crate::core) now: Moment,
    /// Every worker whose process may exist.
    pub(in crate::core) workers: BTreeMap<WorkerId, Worker>,
    /// The generation in force. Workers of neither this pool nor the reload's are on their way out.
    pub(in crate::core) active: Option<Pool>,
    pub(in crate::core) reload: Option<Reload>,
    /// Wait for the reload after the running one.
    pub(in crate::core) queued: Vec<RequestId>,
    /// Successful configurations so far.
    pub(in crate::core) version: u64,
    pub(in crate::core) last_generation: u64,
    rhythm: Rhythm,
    /// When a worker of the generation in force last showed that it turns.
    pub(in crate::core) last_answer: Moment,
    last_worker: u64,
    pub(in crate::core) stopping: bool,
    finished: bool,
    #[serde(skip)]
    timer: Option<Moment>,
    #[serde(skip)]
    actions: Vec<Action>,
}

impl Supervisor {
    pub fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            ..Self::default()
        }
    }

    /// What to do now that `event` happened. `now` never goes back.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        if self.finished {
            return Vec::new();
        }
        self.now = now.max(self.now);
        self.dispatch(event);
        self.expire();
        self.beat();
        self.begin_queued_reload();
        self.finish_stop();
        self.fill_slots();
        self.arm_timer();
        std::mem::take(&mut self.actions)
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Boot => self.begin_reload(Vec::new()),
            Event::Resumed => self.resume_reload(),
            Event::ReloadRequested(request) => self.request_reload(request),
            Event::ConfigLoaded(result) => self.config_loaded(result),
            Event::WorkerSpawned(worker) => self.worker_spawned(worker),
            Event::SpawnFailed {
                worker,
                reason,
                exhausted,
            } => {
                self.spawn_failed(worker, reason, exhausted);
            }
            Event::WorkerReady(worker) => self.worker_ready(worker),
            Event::WorkerAnswered { worker, sequence } => self.worker_answered(worker, sequence),
            Event::WorkerFailed { worker, message } => self.kill_for(worker, message),
            Event::WorkerStoppedAccepting(worker) => self.worker_stopped_accepting(worker),
            Event::WorkerMisbehaved { worker, reason } => self.worker_misbehaved(worker, reason),
            Event::WorkerExited { worker, how } => self.worker_exited(worker, how),
            Event::StopRequested => self.stop_requested(),
            Event::Timer => {}
        }
    }

    /// Workers whose process may exist, with their state.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    /// The generation in force.
    pub fn active_generation(&self) -> Option<Generation> {
        self.active.as_ref().map(|pool| pool.generation)
    }

    /// The workers of the generation in force: those that accept, or else those that will.
    pub fn active_workers(&self) -> Vec<WorkerId> {
        let all: Vec<WorkerId> = self.active.iter().flat_map(Pool::workers).collect();
        let accepts = |id: &WorkerId| {
            self.workers
                .get(id)
                .is_some_and(|worker| worker.state == State::Accepting)
        };
        match all.iter().any(accepts) {
            true => all.into_iter().filter(accepts).collect(),
            false => all,
        }
    }

    /// The number that a generation gets if the configuration that is being loaded is right.
    pub fn next_generation(&self) -> Generation {
        Generation(self.last_generation + 1)
    }

    /// The generation that starts.
    pub fn candidate_generation(&self) -> Option<Generation> {
        self.reload
            .as_ref()
            .and_then(Reload::candidate)
            .map(|pool| pool.generation)
    }

    /// Successful configurations so far: the version in force.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn is_reloading(&self) -> bool {
        self.reload.is_some()
    }

    /// What the configuration in force allows new workers.
    pub fn ready_timeout(&self) -> Option<Duration> {
        let active = self.active.as_ref();
        active.map(|pool| pool.settings.ready_timeout)
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    pub(in crate::core) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(in crate::core) fn report(&mut self, requests: Vec<RequestId>, outcome: Outcome) {
        self.act(Action::Report { requests, outcome });
    }

    pub(in crate::core) fn exit(&mut self, code: u8) {
        self.finished = true;
        self.act(Action::Exit(code));
    }

    /// The pools that are to be full: the one in force, and the one that is to follow it.
    pub(in crate::core) fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.active
            .iter()
            .chain(self.reload.iter().filter_map(Reload::candidate))
    }

    fn fill_slots(&mut self) {
        if self.finished {
            return;
        }
        let now = self.now;
        let due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        let mut orders = Vec::new();
        let candidate = self.reload.as_mut().and_then(Reload::candidate_mut);
        for pool in self.active.iter_mut().chain(candidate) {
            for slot in pool.slots.iter_mut().filter(|slot| due(slot.fill_at)) {
                self.last_worker += 1;
                let worker = WorkerId(self.last_worker);
                slot.worker = Some(worker);
                slot.fill_at = None;
                orders.push((worker, pool.generation, now + pool.settings.ready_timeout));
            }
        }
        for (worker, generation, ready_by) in orders {
            self.workers
                .insert(worker, Worker::new(generation, ready_by));
            self.act(Action::Spawn { worker, generation });
        }
    }

    fn arm_timer(&mut self) {
        let next = self.next_deadline();
        if next != self.timer && !self.finished {
            self.timer = next;
            self.act(Action::SetTimer(next));
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        let deadlines = self.workers.values().filter_map(|worker| worker.deadline);
        let fills = self
            .pools()
            .flat_map(|pool| &pool.slots)
            .filter_map(|slot| slot.fill_at);
        let swap = self.reload.as_ref().and_then(Reload::swap_deadline);
        let beats = self.workers.values().filter_map(Worker::next_beat);
        deadlines.chain(fills).chain(swap).chain(beats).min()
    }
}
