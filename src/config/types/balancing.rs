//! How requests are shared out among the servers of a pool.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::UpstreamAddress;

/// `[sites.proxy.load_balancing]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancing {
    pub method: BalancingMethod,
    /// A signed cookie leads a client to the same server again.
    pub sticky_sessions: bool,
    /// Requests of a pool that may wait while all its servers have `max_conns` requests; 503 beyond it.
    pub queue: u32,
    /// How long a request may wait so; 503 then.
    pub queue_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BalancingMethod {
    /// Smooth weighted round robin, also called `weighted`.
    RoundRobin,
    /// The server with the fewest requests in flight, in relation to its weight.
    LeastConnections,
    /// By the client's address: weighted rendezvous hashing.
    IpHash,
    /// Two servers by chance; that of them with fewer requests in flight.
    RandomTwo,
}

/// `[sites.proxy.health_check]`, enabled: each server is asked by itself how it is. 2xx and 3xx are healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Starts with a slash; may have a query.
    pub path: String,
    /// From the end of a check to the next one.
    pub interval: Duration,
    /// For the whole check.
    pub timeout: Duration,
    /// Failures in a row that take a server out, at least 1.
    pub retries: u32,
    /// Successes in a row that bring it back, at least 1.
    pub healthy_after: u32,
}

/// `[sites.proxy.retry]`: when a request goes to another server. Once any of it was sent, only without a body and with an
/// idempotent method (RFC 9110 section 9.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often at most, after the first attempt.
    pub attempts: u32,
    /// When the server cannot be connected to.
    pub on_connect: bool,
    /// When it closes the connection before it answers.
    pub on_reset: bool,
    /// When its answer does not come in time.
    pub on_timeout: bool,
    /// When it answers with one of these.
    pub on_status: Vec<u16>,
}

/// As operators know it: `10.0.0.1:3000`, `[::1]:3000`, `unix:/run/app.sock`, `_http._tcp.app.example`.
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { host, port } if host.contains(':') => {
                write!(formatter, "[{host}]:{port}")
            }
            // Targets of services are names in whole; nobody wants to see that dot.
            Self::Http { host, port } => {
                write!(formatter, "{}:{port}", host.trim_end_matches('.'))
            }
            Self::Service(name) => formatter.write_str(name),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}
