//! What a reload tells the operator, step by step. `RUST_LOG=bws::core::hot_reload=trace` shows every decision.

use std::path::Path;
use std::time::Duration;

use tracing::{info, trace};

use crate::core::journal::{Named, milliseconds};
use crate::core::report::Details;
use crate::core::supervisor::event::{Action, Event};
use crate::ipc::message::{Generation, version};
use crate::systemd::events::tell;

/// Whether the lines are about a reload, or about the start and stop of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Boot,
    Reload,
}

pub fn triggered(by: &str) {
    tell!(RELOAD_REQUESTED, BWS_REASON = by; "Hot reload: {by}");
}

pub fn new_program(path: &Path) {
    info!(
        "Hot reload: '{}' is another program than the one that runs: asking whether it can take over",
        path.display()
    );
}

pub fn becoming(path: &Path, new: &str) {
    info!(
        "Hot reload: this process becomes '{}' (BWS {new}, now {})",
        path.display(),
        version()
    );
}

pub fn resumed(from: &str) {
    tell!(
        PROGRAM_REPLACED,
        BWS_VERSION = version(),
        BWS_OLD_VERSION = from;
        "Hot reload: BWS {} has taken over from BWS {from}", version()
    );
}

pub fn loading(context: Context, source: &Path) {
    match context {
        Context::Reload => info!(
            "Hot reload: loading configuration from {}",
            source.display()
        ),
        Context::Boot => info!("loading configuration from {}", source.display()),
    }
}

pub fn validating(context: Context) {
    if context == Context::Reload {
        info!("Hot reload: validating new configuration");
    }
}

pub fn spawned(context: Context, worker: Named) {
    let prefix = match context {
        Context::Reload => "Hot reload: spawning new worker",
        Context::Boot => "spawning worker",
    };
    tell!(
        WORKER_STARTED,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0;
        "{prefix} with PID {}", worker.pid
    );
}

pub fn worker_ready(context: Context, worker: Named, took: Duration) {
    let prefix = match context {
        Context::Reload => "Hot reload: new worker",
        Context::Boot => "worker",
    };
    let milliseconds = milliseconds(took);
    tell!(
        WORKER_READY,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0,
        BWS_DURATION_MS = milliseconds;
        "{prefix} (PID {}) is ready after {milliseconds} ms", worker.pid
    );
}

pub fn terminating(stopping: bool, worker: Named) {
    let prefix = match stopping {
        false => "Hot reload: sending SIGTERM to old worker",
        true => "sending SIGTERM to worker",
    };
    tell!(
        WORKER_DRAINING,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0;
        "{prefix} (PID {})", worker.pid
    );
}

/// A configuration that came in force.
pub struct Complete<'a> {
    pub version: u64,
    pub generation: Option<Generation>,
    pub took: Duration,
    /// What changed, in one line.
    pub plan: &'a str,
}

pub fn complete(reload: &Complete<'_>) {
    let (version, plan) = (reload.version, reload.plan);
    let milliseconds = milliseconds(reload.took);
    tell!(
        RELOAD_COMPLETE,
        BWS_CONFIG_VERSION = version,
        BWS_GENERATION = reload.generation.map_or(0, |generation| generation.0),
        BWS_DURATION_MS = milliseconds,
        BWS_PLAN = plan;
        "Hot reload: complete: version {version}, {milliseconds} ms, {plan}"
    );
}

/// `details` has the whole report, `message` is its gist; `version` is still in force.
pub fn failed(message: &str, details: &Details, version: u64, took: Duration) {
    tell!(
        RELOAD_FAILED,
        BWS_CONFIG_VERSION = version,
        BWS_DURATION_MS = milliseconds(took),
        BWS_ERRORS = details.errors_text.as_str();
        beside BWS_ERROR_LIST = details.first_errors();
        "Hot reload: failed: {message}; still serving version {version}"
    );
}

pub fn attempt_failed(context: Context, reason: &str, delay: Duration) {
    let prefix = if context == Context::Reload {
        "Hot reload: "
    } else {
        ""
    };
    tell!(
        WORKER_START_FAILED,
        BWS_REASON = reason;
        "{prefix}a new worker did not start: {reason}; next attempt in {} ms", delay.as_millis()
    );
}

pub fn not_stopped(worker: Named) {
    tell!(
        WORKER_NOT_STOPPED,
        BWS_WORKER_PID = worker.pid,
        BWS_GENERATION = worker.generation.0;
        "Hot reload: the old worker (PID {}) did not confirm that it stopped accepting; going on", worker.pid
    );
}

pub fn heard(event: &Event) {
    trace!("heard {event:?}");
}

pub fn decided(action: &Action) {
    trace!("decided {action:?}");
}
