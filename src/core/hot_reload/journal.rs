//! What a reload tells the operator, step by step. `RUST_LOG=bws::core::hot_reload=trace` shows every decision.

use std::path::Path;
use std::time::Duration;

use tracing::{error, info, trace, warn};

use crate::core::supervisor::event::{Action, Event};
use crate::ipc::message::version;

/// Whether the lines are about a reload, or about the start and stop of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Boot,
    Reload,
}

pub fn triggered(by: &str) {
    info!("Hot reload: {by}");
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
    info!(
        "Hot reload: BWS {} has taken over from BWS {from}",
        version()
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

pub fn spawned(context: Context, pid: u32) {
    match context {
        Context::Reload => info!("Hot reload: spawning new worker with PID {pid}"),
        Context::Boot => info!("spawning worker with PID {pid}"),
    }
}

pub fn worker_ready(context: Context, pid: u32, took: Duration) {
    if context == Context::Reload {
        info!(
            "Hot reload: new worker (PID {pid}) is ready after {} ms",
            took.as_millis()
        );
    }
}

pub fn terminating(stopping: bool, pid: u32) {
    match stopping {
        false => info!("Hot reload: sending SIGTERM to old worker (PID {pid})"),
        true => info!("sending SIGTERM to worker (PID {pid})"),
    }
}

pub fn complete(version: u64, took: Duration, summary: &str) {
    info!(
        "Hot reload: complete: version {version}, {} ms, {summary}",
        took.as_millis()
    );
}

pub fn failed(message: &str, version: u64) {
    error!("Hot reload: failed: {message}; still serving version {version}");
}

pub fn attempt_failed(context: Context, reason: &str, delay: Duration) {
    let prefix = if context == Context::Reload {
        "Hot reload: "
    } else {
        ""
    };
    warn!(
        "{prefix}a new worker did not start: {reason}; next attempt in {} ms",
        delay.as_millis()
    );
}

pub fn not_stopped(pid: u32) {
    warn!(
        "Hot reload: the old worker (PID {pid}) did not confirm that it stopped accepting; going on"
    );
}

pub fn heard(event: &Event) {
    trace!("heard {event:?}");
}

pub fn decided(action: &Action) {
    trace!("decided {action:?}");
}
