//! A request becomes a response.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};

use super::body::{Body, RequestBody};
use crate::config::types::Config;
use crate::metrics::counters::Recorder;

/// What all threads of a worker share: made once, never written.
pub struct Shared {
    pub config: Arc<Config>,
    pub identity: Identity,
}

impl Shared {
    pub fn new(config: Arc<Config>, identity: Identity) -> Self {
        Self { config, identity }
    }
}

/// What `/health` tells of the process.
#[derive(Clone, Debug)]
pub struct Identity {
    pub generation: u64,
    pub config_version: u64,
    /// The master's start, nanoseconds since the epoch.
    pub started_at_ns: u64,
}

/// What a request needs to know of the connection that it came by.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Index into `Config::listeners`.
    pub listener: u32,
    /// None on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// TLS.
    pub secure: bool,
}

/// One thread's server of requests.
pub struct Service {
    pub shared: Arc<Shared>,
    pub recorder: Recorder,
}

impl Service {
    pub fn new(shared: Arc<Shared>, recorder: Recorder) -> Rc<Self> {
        Rc::new(Self { shared, recorder })
    }

    /// Never fails: what goes wrong becomes a response of status 4xx or 5xx.
    pub async fn answer(
        self: Rc<Self>,
        _request: Request<RequestBody>,
        _connection: Rc<Connection>,
    ) -> Response<Body> {
        Response::new(Body::Empty)
    }
}
