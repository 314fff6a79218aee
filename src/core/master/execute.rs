//! The supervisor's actions, done.

use std::time::{Duration, UNIX_EPOCH};

use super::{Caller, Master, Resources};
use crate::core::hot_reload::journal as reload;
use crate::core::journal::{self, Named};
use crate::core::management;
use crate::core::process;
use crate::core::report::{LastReload, ReloadReport};
use crate::core::supervisor::event::{Action, Cause, Event, Notice, Outcome, RequestId};
use crate::core::watch::Watch;
use crate::core::worker_process::{Equipment, Launch};
use crate::ipc::message::{Assignment, Generation, ToWorker, WorkerId};
use crate::systemd::{logging, notify};

impl Master {
    pub(super) fn execute(&mut self, action: Action) {
        match action {
            Action::LoadConfig => self.load_what_is_asked_for(),
            Action::Spawn { worker, generation } => self.spawn(worker, generation),
            Action::Accept(worker) => {
                self.tell_answers_to(worker);
                self.tell_names_to(worker);
                self.tell(worker, ToWorker::Accept);
            }
            Action::StopAccepting(worker) => self.tell(worker, ToWorker::StopAccepting),
            Action::Drain { worker, deadline } => self.drain_worker(worker, deadline),
            Action::Ping { worker, sequence } => self.tell(worker, ToWorker::Ping { sequence }),
            Action::Kill(worker) => {
                if let Some(process) = self.workers.get(&worker) {
                    process.kill();
                }
            }
            Action::Activate {
                generation,
                version,
            } => self.activate(generation, version),
            Action::NotifyReloading => {
                self.shown = "reloading the configuration".into();
                self.reloading = Some(notify::Reloading::begin(&self.shown));
            }
            Action::NotifyReady => self.notify_ready(),
            Action::NotifyStopping => {
                self.reloading = None;
                self.shown = "stopping".into();
                notify::stopping(&self.shown);
                self.close_own_sockets();
                self.chronicle.close();
            }
            Action::Report { requests, outcome } => self.report(requests, outcome),
            Action::Notice(notice) => self.notice(notice),
            Action::SetTimer(at) => self.timer = at,
            Action::Exit(code) => {
                if self.supervisor.is_stopping() {
                    journal::stopped();
                }
                self.exit = Some(code);
            }
        }
    }

    fn spawn(&mut self, worker: WorkerId, generation: Generation) {
        if let Some(prepared) = self.candidate.take() {
            let resources = Resources::new(prepared, self.supervisor.version() + 1);
            self.generations.insert(generation, resources);
        }
        let started_at_ns = self.started_at_ns();
        let Some(resources) = self.generations.get(&generation) else {
            return;
        };
        let program = match &resources.origin {
            Some(origin) => origin.path(),
            None => self.program.image(),
        };
        let launch = Launch {
            equipment: Equipment {
                program: &program,
                generation,
                sites: resources.outline.sites.len(),
                snapshot: &resources.snapshot,
                lasting: self.lasting.page(),
                sockets: &resources.sockets,
            },
            threads: resources.outline.threads,
            assignment: Assignment {
                worker,
                generation,
                config_version: resources.version,
                started_at_ns,
                sockets: resources
                    .sockets
                    .iter()
                    .map(|(_, listener)| *listener)
                    .collect(),
            },
            inputs: &self.inputs,
        };
        match launch.start(self.spare.take()) {
            Ok(process) => {
                reload::spawned(self.context(), process.named());
                self.workers.insert(worker, process);
                self.events.push_back(Event::WorkerSpawned(worker));
            }
            Err(error) => self.events.push_back(self.spawn_failed(worker, &error)),
        }
    }

    fn spawn_failed(&self, worker: WorkerId, error: &std::io::Error) -> Event {
        let advice = process::exhaustion_advice(error);
        let mut reason = format!(
            "'{}' cannot be started: {error}",
            self.program.path().display()
        );
        if let Some(advice) = advice {
            reason = format!("{reason}: {advice}");
        }
        Event::SpawnFailed {
            worker,
            reason,
            exhausted: advice.is_some(),
        }
    }

    pub(super) fn tell(&self, worker: WorkerId, message: ToWorker) {
        if let Some(process) = self.workers.get(&worker) {
            process.tell(message);
        }
    }

    fn drain_worker(&self, worker: WorkerId, deadline: Duration) {
        let Some(process) = self.workers.get(&worker) else {
            return;
        };
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let stopping = self.supervisor.is_stopping();
        reload::terminating(stopping, process.named());
        process.tell(ToWorker::Drain {
            deadline_ms,
            hand_over: !stopping,
        });
        process.terminate();
    }

    fn activate(&mut self, generation: Generation, version: u64) {
        // The former generations' handles would keep a port open that nobody serves any more.
        for (other, resources) in &mut self.generations {
            if *other != generation {
                resources.sockets.clear();
            }
        }
        let Some(resources) = self.generations.get_mut(&generation) else {
            return;
        };
        resources.version = version;
        let Some(config) = resources.config.clone() else {
            return;
        };
        if let Some(tcp) = resources.tcp.take() {
            self.tcp = Some(tcp.serve(self.inputs.clone()));
        } else if !config.management.enabled {
            self.tcp = None;
        }
        self.release_sockets();
        if let Some(active) = self.active() {
            let used = active.sockets.clone();
            self.sockets.store(&used);
        }
        self.logging = Some(config.logging.clone());
        logging::reconfigure(&config.logging);
        self.watch = match config.server.watch_config {
            true => Watch::start(&config.sources, self.inputs.clone()),
            false => None,
        };
        let impatient = !self.active().is_some_and(|active| active.certificates_only);
        self.adopt_orders(impatient);
        self.forget_names();
    }

    fn notify_ready(&mut self) {
        self.shown = self.status_line();
        match self.reloading.take() {
            Some(reloading) => reloading.end(self.shown.clone()),
            None => notify::ready(&self.shown),
        }
    }

    fn report(&mut self, requests: Vec<RequestId>, outcome: Outcome) {
        let boot =
            self.last_reload.is_none() && self.supervisor.version() <= 1 && requests.is_empty();
        let report = match outcome {
            Outcome::Succeeded { took, .. } => self.succeeded(took, boot),
            Outcome::Failed {
                cause,
                message,
                version,
                took,
            } => self.failed(cause, message, version, took),
        };
        if report.cause != Some(Cause::Stopping) {
            self.figures
                .note_reload(report.success, boot, report.duration_ms);
        }
        let at = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let (success, duration_ms) = (report.success, report.duration_ms);
        let message = report.message.clone();
        let errors = match success {
            true => Vec::new(),
            false => report.details.first_errors(),
        };
        self.last_reload = Some(LastReload {
            at,
            success,
            duration_ms,
            message,
            first: boot,
            errors,
        });
        self.show_status();
        for request in requests {
            match self.waiting.remove(&request) {
                Some(Caller::Task(reply, _)) => drop(reply.send(report.clone())),
                Some(Caller::Connection(connection)) => management::answer(connection, &report),
                None => {}
            }
        }
    }

    fn succeeded(&mut self, took: Duration, boot: bool) -> ReloadReport {
        self.refusal = None;
        let version = self.supervisor.version();
        let generation = self.supervisor.active_generation();
        let active = self.active();
        let summary = active
            .map(|active| active.summary.clone())
            .unwrap_or_default();
        let details = active
            .map(|active| active.details.clone())
            .unwrap_or_default();
        if !details.warnings_text.is_empty() {
            journal::configuration_warning(version, &details.warnings_text);
        }
        match boot {
            true => journal::started(version, generation, &self.serving()),
            false => reload::complete(&reload::Complete {
                version,
                generation,
                took,
                plan: &summary,
            }),
        }
        self.warn_of_certificates();
        let message = if boot {
            "first configuration".into()
        } else {
            summary
        };
        let duration_ms = milliseconds(took);
        ReloadReport {
            success: true,
            version,
            duration_ms,
            message,
            details,
            cause: None,
        }
    }

    fn failed(
        &mut self,
        cause: Cause,
        message: String,
        version: u64,
        took: Duration,
    ) -> ReloadReport {
        self.release_sockets();
        // After a takeover, what is in force was not looked at yet.
        self.adopt_orders(false);
        if self.watch.is_some() {
            self.sources_touched();
        }
        let mut details = self.refusal.take().unwrap_or_default();
        if details.errors_text.is_empty() {
            details.errors_text.clone_from(&message);
            details.errors = vec![message.clone()].into();
        }
        match self.supervisor.active_generation() {
            _ if cause == Cause::Stopping => {}
            Some(_) => reload::failed(&message, &details, version, took),
            None => journal::start_failed(&details.errors_text),
        }
        let duration_ms = milliseconds(took);
        ReloadReport {
            success: false,
            version,
            duration_ms,
            message,
            details,
            cause: Some(cause),
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::WorkerLost { worker, how, delay } => {
                self.figures.note_restart();
                if let Some(named) = self.lost.take().filter(|(id, _)| *id == worker) {
                    journal::worker_lost(named.1, &how, delay);
                } else {
                    journal::worker_not_spawned(&how, delay);
                }
            }
            Notice::StartFailed { reason, delay, .. } => {
                reload::attempt_failed(self.context(), &reason, delay);
            }
            Notice::Exhausted { reason } => {
                let serves = self.supervisor.active_generation().is_some();
                journal::exhausted(&reason, serves);
            }
            Notice::NotStopped(worker) => self.notice_of(worker, reload::not_stopped),
            Notice::Misbehaved { worker, reason } => {
                self.notice_of(worker, |named| journal::worker_broken(named, &reason));
            }
            Notice::WorkerHung { worker, silent } => {
                self.figures.note_hung();
                self.notice_of(worker, |named| journal::worker_hung(named, silent));
            }
            Notice::DrainOverdue(worker) => self.notice_of(worker, journal::worker_overdue),
        }
    }

    fn notice_of(&self, worker: WorkerId, tell: impl FnOnce(Named)) {
        if let Some(process) = self.workers.get(&worker) {
            tell(process.named());
        }
    }

    pub(super) fn reopen_logs(&self) {
        logging::reopen();
        journal::logs_reopened();
        for process in self.workers.values() {
            process.tell(ToWorker::ReopenLogs);
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
