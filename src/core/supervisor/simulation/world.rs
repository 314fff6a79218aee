//! The processes as the supervisor brings them about, and time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::stimulus::{Fault, Stimulus, StrayKind};
use crate::core::supervisor::Supervisor;
use crate::core::supervisor::event::{Action, Event, Moment, RequestId};
use crate::ipc::message::{Generation, WorkerId};

#[derive(Debug)]
pub(super) struct Process {
    pub(super) generation: Generation,
    pub(super) fault: Option<Fault>,
    pub(super) accepting: bool,
    pub(super) alive: bool,
    pub(super) frozen: bool,
}

pub(super) struct World {
    pub(super) supervisor: Supervisor,
    pub(super) now: Moment,
    pub(super) random: u64,
    /// Events under way, by time and order.
    pub(super) due: BTreeMap<(Moment, u64), Event>,
    pub(super) sequence: u64,
    pub(super) timer: Option<Moment>,
    pub(super) processes: BTreeMap<WorkerId, Process>,
    pub(super) faults: Vec<Fault>,
    pub(super) drought_until: Moment,
    pub(super) broken_configs: u32,
    /// Of the configuration loaded last, and of the one in force.
    pub(super) workers: u32,
    pub(super) active_workers: u32,
    pub(super) answered: BTreeSet<RequestId>,
    pub(super) asked: u64,
    pub(super) reloading: bool,
    pub(super) version: u64,
    pub(super) last_success: Option<Generation>,
    pub(super) active: Option<Generation>,
    pub(super) stops: u32,
    pub(super) exit: Option<u8>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            supervisor: Supervisor::default(),
            now: Duration::from_secs(1),
            random: seed,
            due: BTreeMap::new(),
            sequence: 0,
            timer: None,
            processes: BTreeMap::new(),
            faults: Vec::new(),
            drought_until: Duration::ZERO,
            broken_configs: 0,
            workers: 1,
            active_workers: 0,
            answered: BTreeSet::new(),
            asked: 0,
            reloading: false,
            version: 0,
            last_success: None,
            active: None,
            stops: 0,
            exit: None,
        };
        world.deliver(Event::Boot);
        world
    }

    /// SplitMix64.
    pub(super) fn chance(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }

    pub(super) fn later(&mut self, longest_ms: u64, event: Event) {
        let delay = Duration::from_millis(self.chance(longest_ms + 1));
        self.sequence += 1;
        self.due.insert((self.now + delay, self.sequence), event);
    }

    pub(super) fn apply(&mut self, stimulus: Stimulus) {
        match stimulus {
            Stimulus::Reload => self.ask(),
            Stimulus::BreakConfig => self.broken_configs += 1,
            Stimulus::Death(nth) => {
                if let Some(id) = self.nth_alive(nth) {
                    self.end(id, "was killed by signal 9");
                }
            }
            Stimulus::Freeze(nth) => {
                if let Some(id) = self.nth_alive(nth) {
                    self.processes
                        .entry(id)
                        .and_modify(|process| process.frozen = true);
                }
            }
            Stimulus::Stray(nth, kind) => self.stray(nth, kind),
            Stimulus::Faults(count, fault) => {
                self.faults
                    .extend(std::iter::repeat_n(fault, usize::from(count % 8)));
            }
            Stimulus::Wait(ms) => self.advance(Duration::from_millis(ms.into())),
            Stimulus::Drought(ms) => {
                self.drought_until = self.now + Duration::from_millis(ms.into())
            }
            Stimulus::Stop => {
                self.stops += 1;
                self.deliver(Event::StopRequested);
            }
        }
    }

    pub(super) fn ask(&mut self) {
        self.asked += 1;
        self.deliver(Event::ReloadRequested(RequestId(self.asked)));
    }

    pub(super) fn nth_alive(&self, nth: u8) -> Option<WorkerId> {
        let alive: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, process)| process.alive)
            .collect();
        alive
            .get(usize::from(nth) % alive.len().max(1))
            .map(|(id, _)| **id)
    }

    pub(super) fn stray(&mut self, nth: u8, kind: StrayKind) {
        // Also from workers that are long gone or never were.
        let worker = WorkerId(u64::from(nth) % (self.processes.len() as u64 + 2));
        let expected = self.supervisor.workers().any(|(id, _)| id == worker);
        if expected && !self.processes.contains_key(&worker) {
            // Its spawn is just failing: nobody is there to speak.
            return;
        }
        let alive = self
            .processes
            .get(&worker)
            .is_some_and(|process| process.alive);
        let faulty = self
            .processes
            .get(&worker)
            .is_some_and(|process| process.fault.is_some());
        let event = match kind {
            StrayKind::Ready => Event::WorkerReady(worker),
            StrayKind::StoppedAccepting => {
                if let Some(process) = self.processes.get_mut(&worker) {
                    process.accepting = false;
                }
                Event::WorkerStoppedAccepting(worker)
            }
            StrayKind::Failed => Event::WorkerFailed {
                worker,
                message: "stray".into(),
            },
            StrayKind::Misbehaved => Event::WorkerMisbehaved {
                worker,
                reason: "stray".into(),
            },
            StrayKind::Spawned => Event::WorkerSpawned(worker),
            // The kernel tells an exit only of what has exited.
            StrayKind::Exited if alive => return,
            StrayKind::Exited => Event::WorkerExited {
                worker,
                how: "stray".into(),
            },
        };
        // Nobody is there to say it, when the process did not come to be.
        let unborn =
            !self.processes.contains_key(&worker) && self.supervisor.workers.contains_key(&worker);
        if matches!(kind, StrayKind::Ready) && (faulty || unborn) {
            return;
        }
        self.deliver(event);
    }

    /// Lets time pass, event by event.
    pub(super) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        for _ in 0..100_000 {
            let event_at = self.due.keys().next().map(|key| key.0);
            let next = [event_at, self.timer].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            if event_at == Some(at) {
                let (_, event) = self.due.pop_first().expect("an event is due");
                self.deliver(event);
            } else {
                self.timer = None;
                self.deliver(Event::Timer);
            }
        }
        panic!("the supervisor spins");
    }

    pub(super) fn deliver(&mut self, event: Event) {
        if self.exit.is_some() {
            return;
        }
        if let Event::WorkerExited { worker, .. } = &event {
            self.bury(*worker);
        }
        if event == Event::Resumed {
            // A stop that came while the new program was asked leaves no reload to go on with.
            if !self.supervisor.is_reloading() {
                return;
            }
            self.take_over();
        }
        let accepted_before = self.accepting().next().is_some();
        let actions = self.supervisor.handle(self.now, event);
        let ordered: Vec<WorkerId> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Accept(id) => Some(*id),
                _ => None,
            })
            .collect();
        let killed = actions
            .iter()
            .any(|action| matches!(action, Action::Kill(_)));
        for action in actions {
            assert!(self.exit.is_none(), "an action after Exit: {action:?}");
            self.execute(action);
        }
        let died = ordered.iter().any(|id| !self.processes[id].alive);
        let accepts_now = self.accepting().next().is_some();
        if accepted_before && !accepts_now && !died && !killed && self.stops == 0 {
            panic!("the supervisor itself stopped the last accepting worker");
        }
    }

    pub(super) fn bury(&mut self, worker: WorkerId) {
        if let Some(process) = self.processes.get_mut(&worker) {
            process.alive = false;
            process.accepting = false;
        }
    }

    pub(super) fn accepting(&self) -> impl Iterator<Item = Generation> + '_ {
        self.processes
            .values()
            .filter(|process| process.accepting)
            .map(|process| process.generation)
    }
}
