//! Random schedules of triggers, deaths, failures and late answers against a model of the processes. What must hold
//! is checked after every event, and once more when everything has become quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::Supervisor;
use super::event::{Action, Cause, Event, LoadError, Moment, Notice, Outcome, RequestId, Settings};
use super::worker::Worker;
use crate::ipc::message::{Generation, WorkerId};

const SCHEDULES: u32 = 4000;

#[derive(Clone, Copy, Debug)]
enum Stimulus {
    Reload,
    /// The next configuration to be loaded is broken.
    BreakConfig,
    /// Kill the n-th living process.
    Death(u8),
    /// Stop the n-th living process (SIGSTOP): it lives, keeps its sockets and does nothing more.
    Freeze(u8),
    /// The n-th living process sends this, late or uncalled for.
    Stray(u8, StrayKind),
    /// So many of the next spawned workers go wrong in this way.
    Faults(u8, Fault),
    Wait(u16),
    /// Nothing can be spawned for so long.
    Drought(u16),
    Stop,
}

#[derive(Clone, Copy, Debug)]
enum StrayKind {
    Ready,
    StoppedAccepting,
    Failed,
    Misbehaved,
    Exited,
    Spawned,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    SpawnFails,
    Exits,
    SaysFailed,
    Hangs,
    DiesAfterReady,
    IgnoresStop,
    NeverDrains,
}

#[derive(Debug)]
struct Process {
    generation: Generation,
    fault: Option<Fault>,
    accepting: bool,
    alive: bool,
    frozen: bool,
}

struct World {
    supervisor: Supervisor,
    now: Moment,
    random: u64,
    /// Events under way, by time and order.
    due: BTreeMap<(Moment, u64), Event>,
    sequence: u64,
    timer: Option<Moment>,
    processes: BTreeMap<WorkerId, Process>,
    faults: Vec<Fault>,
    drought_until: Moment,
    broken_configs: u32,
    /// Of the configuration loaded last, and of the one in force.
    workers: u32,
    active_workers: u32,
    answered: BTreeSet<RequestId>,
    asked: u64,
    reloading: bool,
    version: u64,
    last_success: Option<Generation>,
    active: Option<Generation>,
    stops: u32,
    exit: Option<u8>,
}

impl World {
    fn new(seed: u64) -> Self {
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
    fn chance(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }

    fn later(&mut self, longest_ms: u64, event: Event) {
        let delay = Duration::from_millis(self.chance(longest_ms + 1));
        self.sequence += 1;
        self.due.insert((self.now + delay, self.sequence), event);
    }

    fn apply(&mut self, stimulus: Stimulus) {
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

    fn ask(&mut self) {
        self.asked += 1;
        self.deliver(Event::ReloadRequested(RequestId(self.asked)));
    }

    fn nth_alive(&self, nth: u8) -> Option<WorkerId> {
        let alive: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, process)| process.alive)
            .collect();
        alive
            .get(usize::from(nth) % alive.len().max(1))
            .map(|(id, _)| **id)
    }

    fn stray(&mut self, nth: u8, kind: StrayKind) {
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
    fn advance(&mut self, by: Duration) {
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

    fn deliver(&mut self, event: Event) {
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

    fn bury(&mut self, worker: WorkerId) {
        if let Some(process) = self.processes.get_mut(&worker) {
            process.alive = false;
            process.accepting = false;
        }
    }

    fn accepting(&self) -> impl Iterator<Item = Generation> + '_ {
        self.processes
            .values()
            .filter(|process| process.accepting)
            .map(|process| process.generation)
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::LoadConfig => self.load_or_take_over(),
            Action::Spawn { worker, generation } => self.spawn(worker, generation),
            Action::Accept(id) => {
                let process = self
                    .processes
                    .get_mut(&id)
                    .expect("accepts only what was spawned");
                process.accepting = process.alive;
            }
            Action::StopAccepting(id) => self.stop_accepting(id),
            Action::Drain { worker, .. } => self.drain(worker),
            Action::Ping { worker, sequence } => {
                if self.turns(worker) {
                    self.later(100, Event::WorkerAnswered { worker, sequence });
                }
            }
            Action::Kill(id) => self.end(id, "was killed by signal 9"),
            Action::Activate {
                generation,
                version,
            } => {
                assert_eq!(version, self.version + 1, "the version moves by one");
                self.version = version;
                self.active = Some(generation);
                self.active_workers = self.workers;
            }
            Action::NotifyReloading => {
                assert!(!self.reloading, "RELOADING twice");
                self.reloading = true;
            }
            Action::NotifyReady | Action::NotifyStopping => self.reloading = false,
            Action::Report { requests, outcome } => self.note_report(requests, &outcome),
            Action::Notice(Notice::WorkerHung { worker, .. }) => {
                assert!(!self.turns(worker), "a worker that turns is called hung");
            }
            Action::Notice(_) => {}
            Action::SetTimer(at) => self.timer = at,
            Action::Exit(code) => self.exit = Some(code),
        }
    }

    fn turns(&self, id: WorkerId) -> bool {
        self.processes
            .get(&id)
            .is_some_and(|process| process.alive && !process.frozen)
    }

    /// Before some configurations are loaded the program becomes another one: what it does not write down is lost.
    fn load_or_take_over(&mut self) {
        match self.active.is_some() && self.chance(4) == 0 {
            true => self.later(200, Event::Resumed),
            false => self.load(),
        }
    }

    fn take_over(&mut self) {
        let state = serde_json::to_vec(&self.supervisor).expect("can be written down");
        self.supervisor = serde_json::from_slice(&state).expect("can be read again");
        self.timer = None;
    }

    fn load(&mut self) {
        let broken = self.broken_configs > 0;
        self.broken_configs = self.broken_configs.saturating_sub(1);
        self.workers = 1 + self.chance(3) as u32;
        let settings = Settings {
            workers: self.workers,
            ready_timeout: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(5),
        };
        let result = if broken {
            Err(LoadError {
                cause: Cause::Configuration,
                message: "broken".into(),
            })
        } else {
            Ok(settings)
        };
        self.later(50, Event::ConfigLoaded(result));
    }

    fn spawn(&mut self, worker: WorkerId, generation: Generation) {
        let dry = self.now < self.drought_until;
        let fault = if dry {
            Some(Fault::SpawnFails)
        } else {
            self.faults.pop()
        };
        if matches!(fault, Some(Fault::SpawnFails)) {
            let reason = "out of descriptors".into();
            return self.later(
                5,
                Event::SpawnFailed {
                    worker,
                    reason,
                    exhausted: dry,
                },
            );
        }
        let process = Process {
            generation,
            fault,
            accepting: false,
            alive: true,
            frozen: false,
        };
        self.processes.insert(worker, process);
        self.later(20, Event::WorkerSpawned(worker));
        match fault {
            Some(Fault::Exits) => self.end(worker, "exited with status 1"),
            Some(Fault::Hangs) => {}
            Some(Fault::SaysFailed) => {
                self.later(
                    50,
                    Event::WorkerFailed {
                        worker,
                        message: "no certificate".into(),
                    },
                );
            }
            Some(Fault::DiesAfterReady) => {
                self.later(50, Event::WorkerReady(worker));
                self.end(worker, "exited with status 101");
            }
            _ => self.later(300, Event::WorkerReady(worker)),
        }
    }

    fn stop_accepting(&mut self, id: WorkerId) {
        let process = self
            .processes
            .get_mut(&id)
            .expect("stops only what was spawned");
        process.accepting = false;
        let hears = process.alive && !process.frozen;
        if hears && !matches!(process.fault, Some(Fault::IgnoresStop)) {
            self.later(100, Event::WorkerStoppedAccepting(id));
            if self.chance(4) == 0 {
                self.later(3000, Event::WorkerStoppedAccepting(id));
            }
        }
    }

    fn drain(&mut self, id: WorkerId) {
        let process = &self.processes[&id];
        assert!(!process.accepting, "drains while it accepts");
        let hears = process.alive && !process.frozen;
        if hears && !matches!(process.fault, Some(Fault::NeverDrains)) {
            self.later(
                4000,
                Event::WorkerExited {
                    worker: id,
                    how: "exited with status 0".into(),
                },
            );
        }
    }

    /// The process is gone; the news travels.
    fn end(&mut self, id: WorkerId, how: &str) {
        if let Some(process) = self.processes.get_mut(&id).filter(|process| process.alive) {
            process.alive = false;
            process.accepting = false;
            // One that waits for a disk takes its time.
            let longest = if self.chance(8) == 0 { 20_000 } else { 30 };
            self.later(
                longest,
                Event::WorkerExited {
                    worker: id,
                    how: how.into(),
                },
            );
        }
    }

    fn note_report(&mut self, requests: Vec<RequestId>, outcome: &Outcome) {
        for request in requests {
            assert!(
                self.answered.insert(request),
                "{request:?} was answered twice"
            );
        }
        match outcome {
            Outcome::Succeeded {
                version,
                generation,
                ..
            } => {
                assert_eq!(*version, self.version);
                self.last_success = Some(*generation);
            }
            Outcome::Failed { version, .. } => assert_eq!(*version, self.version),
        }
    }

    /// Everything works again and time passes: what must then be true.
    fn settle(&mut self) {
        self.faults.clear();
        self.broken_configs = 0;
        self.drought_until = Duration::ZERO;
        self.advance(Duration::from_secs(60));
        if self.exit.is_none() && self.stops == 0 {
            self.check_quiet();
            self.ask();
            self.advance(Duration::from_secs(60));
        }
        assert!(!self.reloading, "RELOADING without READY");
        match self.exit {
            Some(code) => self.check_exit(code),
            None => self.check_quiet(),
        }
        let all: BTreeSet<RequestId> = (1..=self.asked).map(RequestId).collect();
        assert!(
            self.exit.is_some() || self.answered == all,
            "a request has no answer"
        );
    }

    fn check_exit(&self, code: u8) {
        assert_eq!(code == 0, self.stops > 0, "exit code {code}");
        assert!(self.processes.values().all(|process| !process.accepting));
    }

    fn check_quiet(&self) {
        assert_eq!(self.stops, 0, "a stop ends");
        let accepting: Vec<Generation> = self.accepting().collect();
        assert_eq!(
            accepting.len(),
            self.active_workers as usize,
            "all workers of the configuration accept"
        );
        assert!(
            accepting.iter().all(|one| Some(*one) == self.active),
            "one generation accepts"
        );
        assert_eq!(
            self.last_success, self.active,
            "the newest configuration serves"
        );
        assert_eq!(
            self.supervisor.workers.len(),
            accepting.len(),
            "a record of a worker is left"
        );
        assert_eq!(self.supervisor.version, self.version);
        let hung = |process: &Process| process.accepting && process.frozen;
        assert!(!self.processes.values().any(hung), "a hung worker is kept");
        assert!(self.supervisor.is_well(self.now), "everybody answers");
        let heartbeats = self.supervisor.workers.values().map(Worker::next_beat);
        assert_eq!(
            self.timer,
            heartbeats.min().flatten(),
            "a timer without reason"
        );
    }
}

fn stimulus() -> impl Strategy<Value = Stimulus> {
    let stray = prop_oneof![
        Just(StrayKind::Ready),
        Just(StrayKind::StoppedAccepting),
        Just(StrayKind::Failed),
        Just(StrayKind::Misbehaved),
        Just(StrayKind::Exited),
        Just(StrayKind::Spawned),
    ];
    let fault = prop_oneof![
        Just(Fault::SpawnFails),
        Just(Fault::Exits),
        Just(Fault::SaysFailed),
        Just(Fault::Hangs),
        Just(Fault::DiesAfterReady),
        Just(Fault::IgnoresStop),
        Just(Fault::NeverDrains),
    ];
    prop_oneof![
        6 => Just(Stimulus::Reload),
        1 => Just(Stimulus::BreakConfig),
        4 => any::<u8>().prop_map(Stimulus::Death),
        2 => any::<u8>().prop_map(Stimulus::Freeze),
        2 => (any::<u8>(), stray).prop_map(|(nth, kind)| Stimulus::Stray(nth, kind)),
        3 => (any::<u8>(), fault).prop_map(|(count, fault)| Stimulus::Faults(count, fault)),
        10 => (0..400_u16).prop_map(Stimulus::Wait),
        2 => (0..12_000_u16).prop_map(Stimulus::Wait),
        1 => (0..5000_u16).prop_map(Stimulus::Drought),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: SCHEDULES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_ends_well(
        seed in any::<u64>(),
        stimuli in prop::collection::vec(stimulus(), 0..60),
    ) {
        let mut world = World::new(seed);
        stimuli.into_iter().for_each(|stimulus| world.apply(stimulus));
        world.settle();
    }

    #[test]
    fn any_schedule_can_be_stopped(
        seed in any::<u64>(),
        before in prop::collection::vec(stimulus(), 0..30),
        after in prop::collection::vec(stimulus(), 0..10),
        twice in any::<bool>(),
    ) {
        let mut world = World::new(seed);
        before.into_iter().for_each(|stimulus| world.apply(stimulus));
        if world.exit.is_some() {
            // The first generation did not start.
            return Ok(());
        }
        world.apply(Stimulus::Stop);
        after.into_iter().for_each(|stimulus| world.apply(stimulus));
        if twice {
            world.apply(Stimulus::Stop);
        }
        world.settle();
        prop_assert_eq!(world.exit, Some(0));
    }
}

#[test]
fn triggers_during_a_reload_become_exactly_one_more() {
    let mut world = World::new(1);
    world.advance(Duration::from_secs(1));
    for _ in 0..5 {
        world.ask();
    }
    world.advance(Duration::from_secs(10));
    assert_eq!(
        world.version, 3,
        "boot, the first, and one for the other four"
    );
    assert_eq!(world.answered.len(), 5);
}

#[test]
fn a_failed_generation_leaves_the_old_one_untouched() {
    let mut world = World::new(2);
    world.advance(Duration::from_secs(1));
    let before: Vec<WorkerId> = world.supervisor.workers.keys().copied().collect();
    world.faults = vec![Fault::SaysFailed; 30];
    world.ask();
    world.advance(Duration::from_secs(10));
    assert_eq!(world.version, 1);
    assert_eq!(
        world.supervisor.workers.keys().copied().collect::<Vec<_>>(),
        before
    );
}
