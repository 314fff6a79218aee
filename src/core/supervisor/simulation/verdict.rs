//! What must hold of reports, and when everything has become quiet.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{Process, World};
use crate::core::supervisor::event::{Outcome, RequestId};
use crate::core::supervisor::worker::Worker;
use crate::ipc::message::Generation;

impl World {
    pub(super) fn note_report(&mut self, requests: Vec<RequestId>, outcome: &Outcome) {
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
    pub(super) fn settle(&mut self) {
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

    pub(super) fn check_exit(&self, code: u8) {
        assert_eq!(code == 0, self.stops > 0, "exit code {code}");
        assert!(self.processes.values().all(|process| !process.accepting));
    }

    pub(super) fn check_quiet(&self) {
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
