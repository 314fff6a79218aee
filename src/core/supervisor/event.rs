//! What the supervisor hears and what it orders.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ipc::message::{Generation, WorkerId};

/// A point in time: how long the master has run, on the monotonic clock.
pub type Moment = Duration;

/// Someone who asked for a reload and waits for its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// What the supervisor needs to know of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Worker processes, at least 1.
    pub workers: u32,
    pub ready_timeout: Duration,
    pub shutdown_timeout: Duration,
}

/// Why no generation can be made of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    pub cause: Cause,
    /// One line.
    pub message: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event: load the first configuration.
    Boot,
    /// The first event of a supervisor that another program left behind, in the middle of a reload.
    Resumed,
    ReloadRequested(RequestId),
    /// The answer to [`Action::LoadConfig`].
    ConfigLoaded(Result<Settings, LoadError>),
    /// The answer to [`Action::Spawn`].
    WorkerSpawned(WorkerId),
    /// The other answer to [`Action::Spawn`]; `exhausted`: descriptors, processes or memory ran out.
    SpawnFailed {
        worker: WorkerId,
        reason: String,
        exhausted: bool,
    },
    WorkerReady(WorkerId),
    /// The answer to [`Action::Ping`]: all its threads turn.
    WorkerAnswered {
        worker: WorkerId,
        sequence: u64,
    },
    /// It cannot serve and says why.
    WorkerFailed {
        worker: WorkerId,
        message: String,
    },
    WorkerStoppedAccepting(WorkerId),
    /// Its channel broke or it sent what it may not send.
    WorkerMisbehaved {
        worker: WorkerId,
        reason: String,
    },
    /// The process is gone; `how` says its exit status or signal.
    WorkerExited {
        worker: WorkerId,
        how: String,
    },
    /// The second one means at once.
    StopRequested,
    /// The time of the last [`Action::SetTimer`] has come. May come late or for nothing.
    Timer,
}

/// What the shell does, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    LoadConfig,
    Spawn {
        worker: WorkerId,
        generation: Generation,
    },
    Accept(WorkerId),
    StopAccepting(WorkerId),
    Drain {
        worker: WorkerId,
        deadline: Duration,
    },
    /// Asks whether all its threads turn.
    Ping {
        worker: WorkerId,
        sequence: u64,
    },
    /// SIGKILL.
    Kill(WorkerId),
    /// The generation that was loaded last is in force from now on, as this version.
    Activate {
        generation: Generation,
        version: u64,
    },
    NotifyReloading,
    NotifyReady,
    NotifyStopping,
    /// Answers these requests. Every request is in exactly one report.
    Report {
        requests: Vec<RequestId>,
        outcome: Outcome,
    },
    Notice(Notice),
    /// Replaces the timer; None: no timer.
    SetTimer(Option<Moment>),
    /// The last action of all.
    Exit(u8),
}

/// How a reload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded {
        version: u64,
        generation: Generation,
        took: Duration,
    },
    /// `version` is still in force.
    Failed {
        cause: Cause,
        message: String,
        version: u64,
        took: Duration,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The configuration was refused.
    Configuration,
    /// A port is taken or not held, or the system denied something else that the configuration asks for.
    System,
    /// Its workers did not start.
    Worker,
    /// The master is stopping.
    Stopping,
}

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A worker of the generation in force is gone; the next one starts after `delay`.
    WorkerLost {
        worker: WorkerId,
        how: String,
        delay: Duration,
    },
    /// One of a new generation's workers did not start; another attempt follows after `delay`.
    StartFailed {
        worker: WorkerId,
        reason: String,
        delay: Duration,
    },
    /// Descriptors, processes or memory ran out.
    Exhausted { reason: String },
    /// It was asked to stop accepting and did not answer.
    NotStopped(WorkerId),
    /// It does what no worker does and is killed.
    Misbehaved { worker: WorkerId, reason: String },
    /// It did not answer for so long and is killed.
    WorkerHung { worker: WorkerId, silent: Duration },
    /// It drains beyond its deadline and is killed.
    DrainOverdue(WorkerId),
}
