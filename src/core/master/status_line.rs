//! The line of `systemctl status`: what is served, how the last reload ended, what still drains. Sent whenever it changes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Master;
use super::answer::count;
use crate::core::report::LastReload;
use crate::core::supervisor::worker::State;
use crate::metrics::counters::Global;
use crate::systemd::notify;

/// Addresses named in the line.
const NAMED_LISTENERS: usize = 3;
/// Letters of the reason why a reload failed: the journal has all of it.
const LONGEST_REASON: usize = 240;

impl Master {
    /// Tells the service manager, when there is something new.
    pub(super) fn show_status(&mut self) {
        let line = self.status_line();
        if line != self.shown {
            notify::status(&line);
            self.shown = line;
        }
    }

    pub(super) fn status_line(&self) -> String {
        if self.supervisor.is_stopping() {
            return match self.drain("worker") {
                drain if drain.is_empty() => "stopping".into(),
                drain => format!("stopping: {drain}"),
            };
        }
        let mut line = match &self.last_reload {
            Some(last) if self.active().is_none() => not_started(last),
            Some(last) if !last.success => failure(last, self.supervisor.version(), &self.scope()),
            Some(last) => self.serving() + &success(last),
            None => self.serving(),
        };
        if let missing @ [_, ..] = self.missing() {
            line += &format!("; not served: {}", missing.join("; "));
        }
        let drain = self.drain("old worker");
        if !drain.is_empty() {
            line += &format!("; {drain}");
        }
        line
    }

    /// What is in force.
    pub(super) fn serving(&self) -> String {
        match self.active() {
            Some(_) => format!(
                "serving {} (configuration version {})",
                self.scope(),
                self.supervisor.version()
            ),
            None => "starting".into(),
        }
    }

    /// As in "3 sites on http://localhost with 1 worker".
    fn scope(&self) -> String {
        let Some(active) = self.active() else {
            return "nothing".into();
        };
        let listeners = &active.outline.listeners;
        let named = &listeners[..listeners.len().min(NAMED_LISTENERS)];
        let more = match listeners.len().saturating_sub(NAMED_LISTENERS) {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let accepts = |state| state == State::Accepting;
        let workers = self.supervisor.workers();
        let workers = workers.filter(|(_, worker)| accepts(worker.state)).count();
        format!(
            "{} on {}{more} with {}",
            count(active.outline.sites.len(), "site"),
            named.join(", "),
            count(workers, "worker"),
        )
    }

    /// What workers that leave still have to finish; empty when there are none.
    fn drain(&self, noun: &str) -> String {
        let (mut workers, mut connections) = (0, 0);
        for (id, record) in self.supervisor.workers() {
            let process = self.workers.get(&id);
            let resources = process.and_then(|process| self.generations.get(&process.generation));
            let (State::Draining, Some(process), Some(resources)) =
                (record.state, process, resources)
            else {
                continue;
            };
            workers += 1;
            let sites = resources.outline.sites.len();
            let open = process.gauge(sites, Global::ConnectionsOpen);
            connections += usize::try_from(open).unwrap_or_default();
        }
        match workers {
            0 => String::new(),
            _ => format!(
                "{} of {} being finished",
                count(connections, "connection"),
                count(workers, noun)
            ),
        }
    }
}

fn failure(last: &LastReload, version: u64, scope: &str) -> String {
    let (reason, time) = (reason(last), time_of_day(last.at));
    format!("reload failed at {time}: {reason}; still serving version {version}, {scope}")
}

fn not_started(last: &LastReload) -> String {
    format!("not started: {}", reason(last))
}

fn reason(last: &LastReload) -> String {
    let mut reason: String = last.message.chars().take(LONGEST_REASON).collect();
    if reason.len() < last.message.len() {
        reason += "…";
    }
    reason
}

fn success(last: &LastReload) -> String {
    match last.first {
        true => String::new(),
        false => format!(
            "; reloaded at {} in {} ms",
            time_of_day(last.at),
            last.duration_ms
        ),
    }
}

/// In UTC: the line is for people, `systemctl status` has the date beside it.
fn time_of_day(seconds: u64) -> String {
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds % 86_400);
    let text = httpdate::fmt_http_date(time);
    format!("{} UTC", text.get(17..25).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(success: bool, message: &str) -> LastReload {
        LastReload {
            at: 86_400 * 3 + 3_723,
            success,
            duration_ms: 35,
            message: message.into(),
            first: false,
            errors: Vec::new(),
        }
    }

    #[test]
    fn the_outcome_is_said_at_a_glance() {
        assert_eq!(
            success(&last(true, "")),
            "; reloaded at 01:02:03 UTC in 35 ms"
        );
        assert_eq!(
            failure(
                &last(false, "config.toml:12:8: unknown key 'prot'"),
                7,
                "1 site"
            ),
            "reload failed at 01:02:03 UTC: config.toml:12:8: unknown key 'prot'; still serving version 7, 1 site"
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let line = failure(&last(false, &"ü".repeat(1000)), 7, "");
        assert!(line.contains("üü…; still"), "{line}");
        assert!(line.len() < 700);
    }
}
