//! The way out.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, Cause, Outcome, RequestId};
use super::worker::State;
use crate::ipc::message::WorkerId;

impl Supervisor {
    pub(super) fn stop_requested(&mut self) {
        let again = std::mem::replace(&mut self.stopping, true);
        let all: Vec<WorkerId> = self.workers.keys().copied().collect();
        if again {
            all.into_iter().for_each(|id| self.kill(id));
            return;
        }
        self.act(Action::NotifyStopping);
        self.abandon_reload();
        let deadline = self
            .active
            .take()
            .map_or(Duration::ZERO, |pool| pool.settings.shutdown_timeout);
        for id in all {
            self.stop_accepting(id);
            self.drain(id, deadline);
            if self
                .workers
                .get(&id)
                .is_some_and(|worker| worker.state == State::Killed)
            {
                self.bound_kill(id);
            }
        }
    }

    fn abandon_reload(&mut self) {
        let mut requests = std::mem::take(&mut self.queued);
        if let Some(reload) = self.reload.take() {
            requests.extend(reload.requests());
        }
        if !requests.is_empty() {
            self.refuse(requests);
        }
    }

    pub(in crate::core) fn refuse(&mut self, requests: Vec<RequestId>) {
        let message = "the server is stopping: no reload is possible any more".into();
        let (version, took) = (self.version, Duration::ZERO);
        let cause = Cause::Stopping;
        self.report(
            requests,
            Outcome::Failed {
                cause,
                message,
                version,
                took,
            },
        );
    }

    pub(super) fn finish_stop(&mut self) {
        if self.stopping && self.workers.is_empty() {
            self.exit(0);
        }
    }
}
