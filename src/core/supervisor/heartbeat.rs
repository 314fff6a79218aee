//! Whether workers turn: each is asked again and again, and one that does not answer in time is killed, so that another
//! takes its place.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::event::{Action, Moment, Notice};
use super::worker::{State, Worker};
use crate::ipc::message::WorkerId;

/// How often workers are asked, and how long they may take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    pub every: Duration,
    pub limit: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            limit: Duration::from_secs(10),
        }
    }
}

impl Rhythm {
    /// So that a worker that hangs is replaced before the service manager, which waits for `watchdog`, loses patience
    /// with the whole service.
    pub fn within(watchdog: Option<Duration>) -> Self {
        watchdog.map_or_else(Self::default, |watchdog| Self {
            every: watchdog / 3,
            limit: watchdog / 3,
        })
    }

    /// How long nobody may have answered before the service as a whole counts as dead.
    fn patience(self) -> Duration {
        self.every + 2 * self.limit
    }
}

/// What is known of one worker's heart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Of the last question.
    sequence: u64,
    /// When the question was asked that is not answered yet.
    asked: Option<Moment>,
    /// When to ask, or when the answer has to be there.
    pub due: Moment,
}

impl Supervisor {
    /// Listens to workers in this rhythm from `now` on, also to those of a supervisor that another program left behind and
    /// that knew no heartbeats.
    pub fn follow(&mut self, rhythm: Rhythm, now: Moment) {
        self.rhythm = rhythm;
        self.now = now.max(self.now);
        self.last_answer = self.now;
        let turns = |state| !matches!(state, State::Spawning | State::Starting | State::Killed);
        let all = self.workers.iter();
        let silent = all.filter(|(_, worker)| worker.heartbeat.is_none() && turns(worker.state));
        let silent: Vec<WorkerId> = silent.map(|(id, _)| *id).collect();
        silent.into_iter().for_each(|id| self.begin_heartbeat(id));
    }

    /// Begins to listen to a worker that has become ready.
    pub(super) fn begin_heartbeat(&mut self, id: WorkerId) {
        let due = self.now + self.rhythm.every;
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.heartbeat = Some(Heartbeat {
                sequence: 0,
                asked: None,
                due,
            });
        }
        self.note_sign_of_life(id);
    }

    pub(super) fn worker_answered(&mut self, id: WorkerId, sequence: u64) {
        let next = self.now + self.rhythm.every;
        let heartbeat = self
            .workers
            .get_mut(&id)
            .and_then(|worker| worker.heartbeat.as_mut());
        let Some(heartbeat) = heartbeat.filter(|it| it.asked.is_some() && it.sequence == sequence)
        else {
            return;
        };
        heartbeat.asked = None;
        heartbeat.due = next;
        self.note_sign_of_life(id);
    }

    fn note_sign_of_life(&mut self, id: WorkerId) {
        if self.active_workers().contains(&id) {
            self.last_answer = self.now;
        }
    }

    /// Whether clients are served, as far as one can know: a worker of the generation in force answered lately. Before
    /// the first generation and during the stop, that the master itself turns is enough.
    pub fn is_well(&self, now: Moment) -> bool {
        let silent = now.saturating_sub(self.last_answer);
        self.stopping || self.active.is_none() || silent <= self.rhythm.patience()
    }

    /// Asks those whose time has come, and kills those that owe an answer for too long.
    pub(super) fn beat(&mut self) {
        let now = self.now;
        let is_due = |worker: &Worker| worker.heartbeat.as_ref().is_some_and(|it| it.due <= now);
        let due = self.workers.iter().filter(|(_, worker)| is_due(worker));
        let due: Vec<WorkerId> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.beat_one(id);
        }
    }

    fn beat_one(&mut self, id: WorkerId) {
        let (now, limit) = (self.now, self.rhythm.limit);
        let heartbeat = self
            .workers
            .get_mut(&id)
            .and_then(|worker| worker.heartbeat.as_mut());
        let Some(heartbeat) = heartbeat else { return };
        match heartbeat.asked {
            None => {
                heartbeat.sequence += 1;
                heartbeat.asked = Some(now);
                heartbeat.due = now + limit;
                let sequence = heartbeat.sequence;
                self.act(Action::Ping {
                    worker: id,
                    sequence,
                });
            }
            // The master itself slept: the answer may wait to be read.
            Some(_) if now > heartbeat.due + limit / 2 => heartbeat.due = now + limit / 2,
            Some(asked) => {
                let silent = now.saturating_sub(asked);
                self.act(Action::Notice(Notice::WorkerHung { worker: id, silent }));
                self.kill_for(id, "did not answer its heartbeat and was killed".into());
            }
        }
    }
}

impl Worker {
    /// When this worker's heartbeat wants attention.
    pub(super) fn next_beat(&self) -> Option<Moment> {
        self.heartbeat.as_ref().map(|heartbeat| heartbeat.due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Event, Settings};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A supervisor with one accepting worker, at one second.
    fn serving() -> (Supervisor, WorkerId) {
        let mut supervisor = Supervisor::new(Rhythm::within(Some(30 * SECOND)));
        supervisor.handle(SECOND, Event::Boot);
        let settings = Settings {
            workers: 1,
            ready_timeout: SECOND,
            shutdown_timeout: 5 * SECOND,
        };
        supervisor.handle(SECOND, Event::ConfigLoaded(Ok(settings)));
        let id = WorkerId(1);
        supervisor.handle(SECOND, Event::WorkerSpawned(id));
        supervisor.handle(SECOND, Event::WorkerReady(id));
        (supervisor, id)
    }

    fn at(supervisor: &mut Supervisor, second: u32) -> Vec<Action> {
        supervisor.handle(SECOND * second, Event::Timer)
    }

    #[test]
    fn a_silent_worker_is_replaced_within_the_watchdog() {
        let (mut supervisor, worker) = serving();
        let ping = Action::Ping {
            worker,
            sequence: 1,
        };
        assert!(at(&mut supervisor, 11).contains(&ping));
        let actions = at(&mut supervisor, 21);
        assert!(actions.contains(&Action::Kill(worker)), "{actions:?}");
        let how = "was killed by signal 9".into();
        let actions = supervisor.handle(21 * SECOND, Event::WorkerExited { worker, how });
        let spawns = |action: &Action| matches!(action, Action::Spawn { .. });
        assert!(actions.iter().any(spawns), "{actions:?}");
    }

    #[test]
    fn a_worker_that_cannot_even_be_killed_is_replaced() {
        let (mut supervisor, worker) = serving();
        at(&mut supervisor, 11);
        at(&mut supervisor, 21);
        let actions = at(&mut supervisor, 26);
        let spawn = |action: &&Action| matches!(action, Action::Spawn { .. });
        assert_eq!(actions.iter().filter(spawn).count(), 1, "{actions:?}");
        let how = "was killed by signal 9".into();
        let actions = supervisor.handle(30 * SECOND, Event::WorkerExited { worker, how });
        assert_eq!(actions.iter().filter(spawn).count(), 0, "{actions:?}");
    }

    #[test]
    fn why_a_worker_that_misbehaves_is_killed_is_told_once() {
        let (mut supervisor, worker) = serving();
        let reason = "sent nonsense".to_owned();
        let event = Event::WorkerMisbehaved { worker, reason };
        let notice = |action: &&Action| matches!(action, Action::Notice(Notice::Misbehaved { .. }));
        let actions = supervisor.handle(SECOND, event.clone());
        assert_eq!(actions.iter().filter(notice).count(), 1, "{actions:?}");
        assert!(actions.contains(&Action::Kill(worker)), "{actions:?}");
        let actions = supervisor.handle(SECOND, event);
        assert_eq!(actions.iter().filter(notice).count(), 0, "{actions:?}");
    }

    #[test]
    fn an_answer_is_worth_one_round() {
        let (mut supervisor, worker) = serving();
        for round in 1..=5_u64 {
            let second = u32::try_from(1 + round * 10).unwrap();
            at(&mut supervisor, second);
            let stale = Event::WorkerAnswered {
                worker,
                sequence: round - 1,
            };
            supervisor.handle(SECOND * second, stale);
            let answer = Event::WorkerAnswered {
                worker,
                sequence: round,
            };
            let actions = supervisor.handle(SECOND * second, answer);
            assert!(!actions.contains(&Action::Kill(worker)));
        }
        assert!(supervisor.is_well(SECOND * 81));
        assert!(!supervisor.is_well(SECOND * 82));
    }

    #[test]
    fn workers_that_were_taken_over_are_asked_as_well() {
        let (mut supervisor, worker) = serving();
        supervisor.workers.get_mut(&worker).unwrap().heartbeat = None;
        supervisor.follow(Rhythm::within(Some(6 * SECOND)), 50 * SECOND);
        assert!(supervisor.is_well(56 * SECOND));
        let ping = Action::Ping {
            worker,
            sequence: 1,
        };
        assert!(at(&mut supervisor, 52).contains(&ping));
    }

    #[test]
    fn a_master_that_slept_gives_another_chance() {
        let (mut supervisor, worker) = serving();
        at(&mut supervisor, 11);
        assert!(!at(&mut supervisor, 100).contains(&Action::Kill(worker)));
        assert!(at(&mut supervisor, 105).contains(&Action::Kill(worker)));
    }
}
