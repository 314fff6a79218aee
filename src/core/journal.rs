//! What the master tells the operator beside reloads (those are in `hot_reload::journal`): each function is one event of
//! `systemd::events`.

use std::time::Duration;

use crate::ipc::message::Generation;
use crate::systemd::events::tell;

pub fn started(version: u64, generation: Option<Generation>, status: &str) {
    let generation = generation.map_or(0, |generation| generation.0);
    tell!(STARTED, BWS_CONFIG_VERSION = version, BWS_GENERATION = generation; "{status}");
}

pub fn start_failed(errors: &str) {
    tell!(START_FAILED, BWS_ERRORS = errors; "BWS does not start:\n{errors}");
}

pub fn ports_missing(problems: &str) {
    tell!(PORTS_MISSING, BWS_REASON = problems; "not everything is served yet: {problems}");
}

pub fn ports_declined(reason: &str) {
    tell!(PORTS_DECLINED, BWS_REASON = reason; "root binds no ports for this server: {reason}");
}

pub fn stopping() {
    tell!(STOPPING; "received a signal to stop");
}

pub fn stopped() {
    tell!(STOPPED; "stopped");
}

/// A worker, as events name it.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub pid: u32,
    pub generation: Generation,
}

/// The process has ended, meant or not.
pub fn worker_gone(worker: Named, how: &str) {
    tell!(
        WORKER_GONE,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0,
        BWS_REASON = how;
        "worker (PID {}) {how}", worker.pid
    );
}

pub fn worker_lost(worker: Named, how: &str, delay: Duration) {
    let next = after(delay);
    tell!(
        WORKER_LOST,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0,
        BWS_REASON = how;
        "worker (PID {}) {how}; starting another {next}", worker.pid
    );
}

/// A worker of the generation in force was to be replaced, and its successor did not even come to be.
pub fn worker_not_spawned(reason: &str, delay: Duration) {
    let next = after(delay);
    tell!(WORKER_START_FAILED, BWS_REASON = reason; "{reason}; starting another {next}");
}

fn after(delay: Duration) -> String {
    match delay.is_zero() {
        true => "at once".into(),
        false => format!("in {} ms", delay.as_millis()),
    }
}

/// It is killed, with the connections that it has.
pub fn worker_broken(worker: Named, reason: &str) {
    tell!(
        WORKER_BROKEN,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0,
        BWS_REASON = reason;
        "worker (PID {}) {reason}: killing it", worker.pid
    );
}

pub fn worker_hung(worker: Named, silent: Duration) {
    let milliseconds = milliseconds(silent);
    tell!(
        WORKER_HUNG,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0,
        BWS_DURATION_MS = milliseconds;
        "worker (PID {}) has not answered its heartbeat for {milliseconds} ms: killing it", worker.pid
    );
}

pub fn worker_overdue(worker: Named) {
    tell!(
        WORKER_OVERDUE,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0;
        "worker (PID {}) drains beyond its deadline: killing it", worker.pid
    );
}

/// `serves`: a generation is in force.
pub fn exhausted(reason: &str, serves: bool) {
    let consequence = if serves {
        "; the running workers serve on"
    } else {
        ""
    };
    tell!(RESOURCES_EXHAUSTED, BWS_REASON = reason; "resources are exhausted: {reason}{consequence}");
}

pub fn configuration_warning(version: u64, text: &str) {
    tell!(CONFIGURATION_WARNING, BWS_CONFIG_VERSION = version; "{text}");
}

pub fn certificate_expiring(site: &str, file: &str, not_after: &str) {
    tell!(
        CERTIFICATE_EXPIRING,
        BWS_SITE = site,
        BWS_FILE = file,
        BWS_NOT_AFTER = not_after;
        "the certificate '{file}' of site '{site}' expires on {not_after}"
    );
}

/// The rest of many: each of `list` has `site`, `file` and `not_after`. `next` is when the first of them expires.
pub fn certificates_expiring(count: usize, next: &str, list: Vec<serde_json::Value>) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    tell!(
        CERTIFICATES_EXPIRING,
        BWS_COUNT = count,
        BWS_NOT_AFTER = next;
        beside BWS_CERTIFICATE_LIST = list;
        "{count} more certificates expire soon, the next one on {next}; GET /api/certificates shows all of them"
    );
}

/// `renewed`: there was one before.
pub fn certificate_got(site: &str, not_after: &str, renewed: bool) {
    match renewed {
        false => tell!(
            CERTIFICATE_ISSUED,
            BWS_SITE = site,
            BWS_NOT_AFTER = not_after;
            "site '{site}' got its certificate, valid until {not_after}"
        ),
        true => tell!(
            CERTIFICATE_RENEWED,
            BWS_SITE = site,
            BWS_NOT_AFTER = not_after;
            "the certificate of site '{site}' was renewed, valid until {not_after}"
        ),
    }
}

pub fn certificate_failed(site: &str, reason: &str, wait: Duration) {
    tell!(
        CERTIFICATE_FAILED,
        BWS_SITE = site,
        BWS_REASON = reason,
        BWS_DURATION_MS = milliseconds(wait);
        "site '{site}' got no certificate: {reason}; next attempt in {} s", wait.as_secs()
    );
}

pub fn watched_file_invalid(version: u64, complaint: &str) {
    tell!(
        WATCHED_FILE_INVALID,
        BWS_CONFIG_VERSION = version,
        BWS_ERRORS = complaint;
        "a watched file changed, but is not valid: no reload\n{complaint}"
    );
}

pub fn logs_reopened() {
    tell!(LOGS_REOPENED; "log files are reopened");
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
