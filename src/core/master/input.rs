//! Everything that the master's loop takes in.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use super::load::{Candidate, Refused};
use super::orders::News;
use super::takeover::Checked;
use crate::core::chronicle::Chronicle;
use crate::core::management::Presence;
use crate::core::ports::Question;
use crate::core::report::{Certificates, CheckReport, ReloadReport, Status, UpstreamStatus};
use crate::ipc::message::{FromWorker, WorkerId};

pub enum Input {
    Said {
        worker: WorkerId,
        message: FromWorker,
        descriptors: Vec<OwnedFd>,
    },
    /// Its channel is of no more use.
    Broken {
        worker: WorkerId,
        reason: String,
    },
    /// The process ended.
    Gone {
        worker: WorkerId,
        how: String,
    },
    Loaded(Box<Result<Candidate, Refused>>),
    /// What the program on disk says to going on in our place: its version.
    SuccessorChecked(Box<Result<Checked, Refused>>),
    /// Someone wants a reload and waits for its end.
    Reload(Caller),
    /// A reload that nobody waits for, and why.
    Trigger(&'static str),
    /// From the helper that runs as root.
    Ports(Question),
    Check(oneshot::Sender<CheckReport>),
    Status(oneshot::Sender<Status>),
    Certificates(oneshot::Sender<Certificates>),
    Metrics(oneshot::Sender<String>),
    Upstreams(oneshot::Sender<Vec<UpstreamStatus>>),
    Chronicle(oneshot::Sender<Chronicle>),
    /// A watched file may have changed.
    SourcesTouched,
    /// What a look at the changed files found: the hash of a valid configuration, or why it is none.
    SourcesChecked(Result<String, String>),
    /// Of certificates that BWS gets by itself.
    Orders(News),
    ReopenLogs,
    Stop,
}

/// Someone who waits for the end of a reload.
pub enum Caller {
    /// The task that answers, and the connection that it answers on, if another program can answer there.
    Task(oneshot::Sender<ReloadReport>, Option<Presence>),
    /// A connection that an earlier program accepted.
    Connection(OwnedFd),
}
