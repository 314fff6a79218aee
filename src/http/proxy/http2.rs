//! HTTP/2 to upstreams: few connections of a thread, many requests on each (RFC 9113).

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http::uri::Scheme;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::Stream;
use super::first_frame::{Arrival, Watched};
use super::names::Origin;
use super::upload::Upload;

/// Requests on one connection before another is opened, when the upstream allows as many.
const MAX_STREAMS: usize = 100;
/// Bytes that an upstream may send on one stream, and on all, before the client took them.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of a decoded header list.
const MAX_HEADER_LIST: u32 = 64 * 1024;

/// The connections of a thread to one server.
#[derive(Default)]
pub(super) struct Multiplexed {
    connections: RefCell<Vec<Rc<Connection>>>,
    /// Held by whoever opens one: those who come meanwhile wait and share it.
    pub(super) opening: Mutex<()>,
}

struct Connection {
    origin: Origin,
    sender: SendRequest<Upload>,
    scheme: Scheme,
    streams: Cell<usize>,
    /// What the upstream allows.
    limit: Rc<Cell<usize>>,
    /// Whether it takes extended CONNECT. None: it has not said.
    extended: watch::Receiver<Option<bool>>,
    idle_since: Cell<Instant>,
}

/// A stream's place on a connection; left when dropped.
pub(super) struct Lease {
    connection: Rc<Connection>,
    sender: SendRequest<Upload>,
}

impl Multiplexed {
    /// A place on the connection that has the most requests and takes another, so that the others can go.
    pub(super) fn take(&self) -> Option<Lease> {
        let mut connections = self.connections.borrow_mut();
        if connections.is_empty() {
            return None;
        }
        connections.retain(|connection| !connection.sender.is_closed());
        let open = connections
            .iter()
            .filter(|connection| connection.has_room());
        let fullest = open.max_by_key(|connection| connection.streams.get())?;
        Some(Lease::new(fullest))
    }

    /// Begins to speak HTTP/2 on `stream`.
    pub(super) async fn open(
        &self,
        stream: Stream,
        origin: Origin,
        scheme: Scheme,
    ) -> hyper::Result<Lease> {
        let limit = Rc::new(Cell::new(MAX_STREAMS));
        let arrival = Rc::<Arrival>::default();
        let stream = Watched::new(stream, arrival.clone());
        let (sender, mut connection) = Builder::new(LocalExecutor)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .handshake(TokioIo::new(stream))
            .await?;
        let allowed = limit.clone();
        let (tell, extended) = watch::channel(None);
        tokio::task::spawn_local(async move {
            let mut told = false;
            let ended = poll_fn(|context| {
                let polled = Pin::new(&mut connection).poll(context);
                if polled.is_pending() {
                    allowed.set(connection.current_max_send_streams());
                    if !told && arrival.check(context) {
                        told = true;
                        tell.send_replace(Some(connection.is_extended_connect_protocol_enabled()));
                    }
                }
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        let connection = Rc::new(Connection {
            origin,
            sender,
            scheme,
            streams: Cell::new(0),
            limit,
            extended,
            idle_since: Cell::new(Instant::now()),
        });
        let lease = Lease::new(&connection);
        self.connections.borrow_mut().push(connection);
        Ok(lease)
    }

    /// Takes no connection again that leads elsewhere; requests on them go on.
    pub(super) fn retain(&self, is_right: impl Fn(Origin) -> bool) {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| is_right(connection.origin));
    }

    /// Closes what was idle for `limit`; says whether anything is left.
    pub(super) fn sweep(&self, limit: Duration) -> bool {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| !connection.is_expired(limit));
        !connections.is_empty()
    }
}

impl Connection {
    fn has_room(&self) -> bool {
        self.streams.get() < self.limit.get().min(MAX_STREAMS)
    }

    fn is_expired(&self, limit: Duration) -> bool {
        let idle = self.streams.get() == 0 && self.idle_since.get().elapsed() >= limit;
        idle || self.sender.is_closed()
    }
}

impl Lease {
    fn new(connection: &Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self {
            connection: connection.clone(),
            sender: connection.sender.clone(),
        }
    }

    pub(super) fn sender(&mut self) -> &mut SendRequest<Upload> {
        &mut self.sender
    }

    /// Whether the upstream takes extended CONNECT (RFC 8441 section 3): waits for its settings.
    pub(super) async fn takes_extended_connect(&self) -> bool {
        let mut extended = self.connection.extended.clone();
        // Otherwise it is gone.
        let said = extended.wait_for(Option::is_some).await;
        said.is_ok_and(|said| *said == Some(true))
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.connection.scheme.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.streams.set(connection.streams.get() - 1);
        connection.idle_since.set(Instant::now());
    }
}

/// Whether the upstream says that it has not looked at the request: it may go elsewhere, whatever it is (RFC 9113
/// section 8.7).
pub(super) fn was_refused(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|it| it.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let untouched = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (untouched || error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// Runs the futures of a connection on its own thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
