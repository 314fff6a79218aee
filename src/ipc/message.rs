//! What master and worker say to each other. Everything that crosses the process boundary is in this file, in the
//! counters page (`ipc::counters_page`) or in the configuration snapshot.
//!
//! A message is one packet of the control channel (`SOCK_SEQPACKET`), postcard-encoded, with at most
//! [`super::channel::MAX_DESCRIPTORS`] file descriptors beside it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::types::ListenAddress;

/// Version of this protocol and of the configuration types. A worker of another version than its master says so in
/// [`FromWorker::Hello`] and is refused, rather than misunderstood.
pub const PROTOCOL: &str = concat!(env!("CARGO_PKG_VERSION"), "+1");

/// Identifies a worker process for the master's lifetime; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkerId(pub u64);

/// Counts generations from 1; a generation is the set of workers that run one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// Master to worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Always the first message.
    Assign(Assignment),
    /// Begin to accept. Sent once, after `Ready`.
    Accept,
    /// Stop accepting and answer [`FromWorker::StoppedAccepting`]; open connections go on.
    StopAccepting,
    /// Drain: finish requests, let connections go politely, exit when empty or after `deadline_ms`. With `hand_over`,
    /// cleartext connections go to the next generation as soon as they are idle ([`FromWorker::HandOver`]).
    Drain { deadline_ms: u64, hand_over: bool },
    /// Serve these connections of an older generation; their descriptors come along, in the same order.
    Adopt { connections: Vec<Travelling> },
    /// Open the log files anew (after logrotate).
    ReopenLogs,
    /// Answer [`FromWorker::Pong`] with the same number from every thread's point of view: all threads turn.
    Ping { sequence: u64 },
}

/// Worker to master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The first message of every worker.
    Hello { protocol: String },
    /// Everything is loaded; waiting for [`ToWorker::Accept`].
    Ready,
    /// Cannot serve; the process exits after this. The text is for the operator.
    Failed { message: String },
    /// No thread will accept any more.
    StoppedAccepting,
    /// All threads answered.
    Pong { sequence: u64 },
    /// Idle connections for the next generation; their descriptors come along, in the same order.
    HandOver { connections: Vec<Travelling> },
    /// While draining, about once a second: what is still open.
    Draining { connections: u64, requests: u64 },
}

/// What a worker is told at start beside its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub worker: WorkerId,
    pub generation: Generation,
    /// Successful configurations since the master started; the first is 1.
    pub config_version: u64,
    /// The master's start, nanoseconds since the epoch: `uptime` in `/health` counts from it.
    pub started_at_ns: u64,
    /// For each inherited listening socket, in LISTEN_FDS order: which of `Config::listeners` it serves.
    pub sockets: Vec<u32>,
}

/// An idle client connection on its way from one generation to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Travelling {
    /// What it was accepted on, as configured: the same in both configurations, whatever its index.
    pub listener: ListenAddress,
    /// None on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// A request was answered on it before.
    pub served: bool,
}
