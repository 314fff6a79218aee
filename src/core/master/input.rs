//! Everything that the master's loop takes in.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use super::load::{Candidate, Refused};
use crate::core::report::{CheckReport, ReloadReport, Status};
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
    /// Someone wants a reload and waits for its end.
    Reload(oneshot::Sender<ReloadReport>),
    /// A reload that nobody waits for, and why.
    Trigger(&'static str),
    Check(oneshot::Sender<CheckReport>),
    Status(oneshot::Sender<Status>),
    Metrics(oneshot::Sender<String>),
    /// A watched file may have changed.
    SourcesTouched,
    /// What a look at the changed files found: the hash of a valid configuration, or why it is none.
    SourcesChecked(Result<String, String>),
    ReopenLogs,
    Stop,
}
