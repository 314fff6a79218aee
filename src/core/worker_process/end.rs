//! The exit of a worker, of one that this program started or of one that it found.

use std::cell::Cell;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::Target;
use crate::core::master::Input;
use crate::ipc::message::WorkerId;

/// A worker whose channel ended should be gone by then, and one that is gone should have been heard to the end.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// A signal that was lost costs no more than this.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Reports the end of a process after its last word: `heard` ends with the conversation.
pub(super) async fn wait(
    worker: WorkerId,
    target: Target,
    heard: oneshot::Receiver<()>,
    inputs: mpsc::Sender<Input>,
) {
    let how = match wait_for(target.pid).await {
        Ok(status) => describe(status),
        Err(error) => format!("cannot be waited for: {error}"),
    };
    target.alive.set(false);
    // What it said last may hold connections for the next generation.
    let _ = tokio::time::timeout(GRACE, heard).await;
    let _ = inputs.send(Input::Gone { worker, how }).await;
}

/// Ends a process that does nothing yet. Needs a `LocalSet`.
pub(super) fn dismiss(pid: u32) {
    let target = Target {
        pid,
        alive: Rc::new(Cell::new(true)),
    };
    target.signal(Signal::KILL);
    tokio::task::spawn_local(wait_for(pid));
}

/// A child of ours: started by this program, or by the one that this process was before.
async fn wait_for(pid: u32) -> io::Result<ExitStatus> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    let mut children = signal(SignalKind::child())?;
    loop {
        if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG)? {
            return Ok(ExitStatus::from_raw(status.as_raw()));
        }
        let _ = tokio::time::timeout(LOOK_AGAIN, children.recv()).await;
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".into(),
    }
}
