//! What becomes of the supervisor's actions: processes come, answer, hang and end.

use std::time::Duration;

use super::stimulus::Fault;
use super::world::{Process, World};
use crate::core::supervisor::event::{Action, Cause, Event, LoadError, Notice, Settings};
use crate::ipc::message::{Generation, WorkerId};

impl World {
    pub(super) fn execute(&mut self, action: Action) {
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

    pub(super) fn turns(&self, id: WorkerId) -> bool {
        self.processes
            .get(&id)
            .is_some_and(|process| process.alive && !process.frozen)
    }

    /// Before some configurations are loaded the program becomes another one: what it does not write down is lost.
    pub(super) fn load_or_take_over(&mut self) {
        match self.active.is_some() && self.chance(4) == 0 {
            true => self.later(200, Event::Resumed),
            false => self.load(),
        }
    }

    pub(super) fn take_over(&mut self) {
        let state = serde_json::to_vec(&self.supervisor).expect("can be written down");
        self.supervisor = serde_json::from_slice(&state).expect("can be read again");
        self.timer = None;
    }

    pub(super) fn load(&mut self) {
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

    pub(super) fn spawn(&mut self, worker: WorkerId, generation: Generation) {
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

    pub(super) fn stop_accepting(&mut self, id: WorkerId) {
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

    pub(super) fn drain(&mut self, id: WorkerId) {
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
    pub(super) fn end(&mut self, id: WorkerId, how: &str) {
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
}
