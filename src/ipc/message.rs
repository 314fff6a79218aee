//! What master and worker say to each other. Everything that crosses the process boundary is in this file, in the
//! pages of shared memory (`ipc::shared_page`) or in the configuration snapshot.
//!
//! A message is one packet of the control channel (`SOCK_SEQPACKET`), postcard-encoded, with at most
//! [`super::channel::MAX_DESCRIPTORS`] file descriptors beside it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::types::{ChallengeAnswer, ListenAddress};
use crate::dns::Word;

/// Version of this protocol and of the configuration types. A worker of another version than its master says so in
/// [`FromWorker::Hello`] and is refused, rather than misunderstood.
pub const PROTOCOL: &str = concat!(env!("CARGO_PKG_VERSION"), "+7");

/// The version of this program, as its protocol names it.
pub fn version() -> &'static str {
    PROTOCOL
        .split_once('+')
        .map_or(PROTOCOL, |(version, _)| version)
}

/// What a master says to workers that an older or newer program started, and hears from them, after it became another
/// program itself: every variant of [`ToWorker`] but `Assign`, and of [`FromWorker`] but `Hello`. To be raised when one
/// of them changes. A variant added at the end changes none, if all goes well also where nobody hears it: who does not
/// know it passes over it ([`super::channel::Channel::receive_with`]; programs of language 1 do not). Workers of another
/// language are driven by signals.
pub const LANGUAGE: u32 = 2;

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
    /// cleartext connections go to the next generation as soon as they are idle ([`FromWorker::HandOver`]); without it nobody comes after, and idle connections are closed.
    Drain { deadline_ms: u64, hand_over: bool },
    /// Serve these connections of an older generation; their descriptors come along, in the same order.
    Adopt { connections: Vec<Travelling> },
    /// Open the log files anew (after logrotate).
    ReopenLogs,
    /// Answer [`FromWorker::Pong`] with the same number from every thread's point of view: all threads turn.
    Ping { sequence: u64 },
    /// Carry on these tunnels of an older generation; of each come two descriptors along, the client's and the
    /// upstream's, in the same order.
    AdoptTunnels { tunnels: Vec<TravellingTunnel> },
    /// From now on give authorities these answers and no others, and say so ([`FromWorker::AnswersKnown`]).
    Answer {
        revision: u64,
        answers: Vec<ChallengeAnswer>,
    },
    /// What names stood for a moment ago.
    Inherit { names: Vec<Word> },
    /// Answers [`FromWorker::WantMetrics`]: the text comes along in a descriptor ([`super::page`]), if it could be made.
    Metrics,
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
    /// Tunnels for the next generation; of each come two descriptors along, as in [`ToWorker::AdoptTunnels`].
    HandOverTunnels { tunnels: Vec<TravellingTunnel> },
    /// The answers of [`ToWorker::Answer`] are given by all threads.
    AnswersKnown { revision: u64 },
    /// Names were resolved, for the first time or to something else.
    Learned { names: Vec<Word> },
    /// Somebody asks a site for the page of `GET /metrics`.
    WantMetrics,
    /// An event was told to the operator: its name, and its record as a line of JSON.
    Told { event: String, record: String },
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

/// A client connection that was switched to another protocol, and its upstream connection, on their way from one
/// generation to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TravellingTunnel {
    /// None on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The upstream's descriptor is that of a Unix socket.
    pub unix_upstream: bool,
    /// How long nothing may be said, in milliseconds.
    pub idle_ms: u64,
    /// From the client to the upstream.
    pub up: TravellingWay,
    pub down: TravellingWay,
}

/// One direction of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TravellingWay {
    /// Read by the one generation, to be written by the next.
    pub pending: Vec<u8>,
    /// The sender has closed.
    pub finished: bool,
    /// And the receiver knows.
    pub closed: bool,
    /// Of a WebSocket.
    pub frames: Option<FramePlace>,
}

/// Where in a WebSocket frame a direction stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FramePlace {
    /// The beginning of a frame's head.
    pub head: Vec<u8>,
    /// Bytes of the frame that are still to come.
    pub left: u64,
    /// The sender said goodbye.
    pub closed: bool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A worker of another version decodes these bytes. When this fails, raise [`LANGUAGE`] and correct the bytes.
    #[test]
    fn the_language_between_versions_stays_as_it_is() {
        let bytes = |message: &ToWorker| postcard::to_allocvec(message).unwrap();
        let travelling = Travelling {
            listener: ListenAddress::Port(80),
            peer: Some("192.0.2.1:1024".parse().unwrap()),
            served: true,
        };
        let connections = vec![travelling];
        let drain = ToWorker::Drain {
            deadline_ms: u64::try_from(Duration::from_secs(1).as_millis()).unwrap(),
            hand_over: true,
        };
        let adopt = ToWorker::Adopt {
            connections: connections.clone(),
        };
        assert_eq!(bytes(&ToWorker::Accept), [1]);
        assert_eq!(bytes(&ToWorker::StopAccepting), [2]);
        assert_eq!(bytes(&drain), [3, 232, 7, 1]);
        assert_eq!(bytes(&adopt), [4, 1, 0, 80, 1, 0, 192, 0, 2, 1, 128, 8, 1]);
        assert_eq!(bytes(&ToWorker::ReopenLogs), [5]);
        assert_eq!(bytes(&ToWorker::Ping { sequence: 9 }), [6, 9]);
        let bytes = |message: &FromWorker| postcard::to_allocvec(message).unwrap();
        assert_eq!(bytes(&FromWorker::Ready), [1]);
        assert_eq!(bytes(&FromWorker::StoppedAccepting), [3]);
        assert_eq!(bytes(&FromWorker::Pong { sequence: 9 }), [4, 9]);
        let hand_over = FromWorker::HandOver { connections };
        assert_eq!(
            bytes(&hand_over),
            [5, 1, 0, 80, 1, 0, 192, 0, 2, 1, 128, 8, 1]
        );
    }
}
