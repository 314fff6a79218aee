//! The connections of a thread to a server, and who has room on them.

use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection as Frames, SendRequest};
use http::uri::Scheme;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::super::Stream;
use super::super::names::Origin;
use super::watched::{Passage, Watched};

/// Requests on one connection before another is opened, when the upstream allows as many.
const MAX_STREAMS: usize = 100;
/// Bytes that an upstream may send on one stream, and on all, before the client took them: clients that take nothing
/// must not stand in the way of others.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// Bytes of a decoded header list.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// Bytes buffered for one stream on its way out.
const SEND_BUFFER: usize = 128 * 1024;

/// The connections of a thread to one server.
#[derive(Default)]
pub(in crate::http::proxy) struct Multiplexed {
    connections: RefCell<Vec<Rc<Connection>>>,
    /// Held by whoever opens one: those who come meanwhile wait and share it.
    pub(in crate::http::proxy) opening: Mutex<()>,
}

struct Connection {
    origin: Origin,
    /// Never sends: those that do are made of it.
    sender: RefCell<SendRequest<Bytes>>,
    scheme: Scheme,
    streams: Cell<usize>,
    /// What the upstream allows; one, until its settings say more: what is beyond would be refused.
    limit: Rc<Cell<usize>>,
    passage: Rc<Passage>,
    /// Whether its settings came.
    settled: watch::Receiver<bool>,
    idle_since: Cell<Instant>,
}

/// A stream's place on a connection; left when dropped.
pub(in crate::http::proxy) struct Lease {
    connection: Rc<Connection>,
    sender: SendRequest<Bytes>,
}

impl Multiplexed {
    /// A place on the connection that has the most requests and takes another, so that the others can go.
    pub(in crate::http::proxy) fn take(&self) -> Option<Lease> {
        let mut connections = self.connections.borrow_mut();
        if connections.is_empty() {
            return None;
        }
        connections.retain(|connection| !connection.is_closed());
        let open = connections
            .iter()
            .filter(|connection| connection.has_room());
        let fullest = open.max_by_key(|connection| connection.streams.get())?;
        Some(Lease::new(fullest))
    }

    /// Waits until it is known how many requests a connection takes that was opened a moment ago.
    pub(in crate::http::proxy) async fn settle(&self) {
        let unsettled = {
            let connections = self.connections.borrow();
            let unsettled = connections.iter().find(|it| !*it.settled.borrow());
            unsettled.map(|connection| connection.settled.clone())
        };
        if let Some(mut settled) = unsettled {
            // Otherwise it is gone.
            let _ = settled.wait_for(|settled| *settled).await;
        }
    }

    /// Begins to speak HTTP/2 on `stream`.
    pub(in crate::http::proxy) async fn open(
        &self,
        stream: Stream,
        origin: Origin,
        scheme: Scheme,
    ) -> Result<Lease, h2::Error> {
        let limit = Rc::new(Cell::new(1));
        let passage = Rc::<Passage>::default();
        let stream = Watched::new(stream, passage.clone());
        let (sender, frames) = builder().handshake(stream).await?;
        let (tell, settled) = watch::channel(false);
        tokio::task::spawn_local(drive(frames, limit.clone(), passage.clone(), tell));
        let connection = Rc::new(Connection {
            origin,
            sender: RefCell::new(sender),
            scheme,
            streams: Cell::new(0),
            limit,
            passage,
            settled,
            idle_since: Cell::new(Instant::now()),
        });
        let lease = Lease::new(&connection);
        self.connections.borrow_mut().push(connection);
        Ok(lease)
    }

    /// Takes no connection again that leads elsewhere; requests on them go on.
    pub(in crate::http::proxy) fn retain(&self, is_right: impl Fn(Origin) -> bool) {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| is_right(connection.origin));
    }

    /// Closes what was idle for `limit`; says whether anything is left.
    pub(in crate::http::proxy) fn sweep(&self, limit: Duration) -> bool {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| !connection.is_expired(limit));
        !connections.is_empty()
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_max_send_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buffer_size(SEND_BUFFER)
        .enable_push(false);
    builder
}

/// Moves what there is to be moved, until the connection ends: by itself, or when nobody has it any more.
async fn drive(
    mut frames: Frames<Watched, Bytes>,
    allowed: Rc<Cell<usize>>,
    passage: Rc<Passage>,
    tell: watch::Sender<bool>,
) {
    let mut told = false;
    let ended = poll_fn(|context| {
        let polled = Pin::new(&mut frames).poll(context);
        if polled.is_pending() && (told || passage.has_settings(context)) {
            allowed.set(frames.max_concurrent_send_streams());
            if !std::mem::replace(&mut told, true) {
                tell.send_replace(true);
            }
        }
        polled
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "upstream connection ended");
    }
}

impl Connection {
    /// Whether it takes no more requests: the upstream said so or is gone, or all numbers are used up.
    fn is_closed(&self) -> bool {
        let mut at_once = Context::from_waker(Waker::noop());
        let ready = self.sender.borrow_mut().poll_ready(&mut at_once);
        matches!(ready, Poll::Ready(Err(_)))
    }

    fn has_room(&self) -> bool {
        self.streams.get() < self.limit.get().min(MAX_STREAMS)
    }

    fn is_expired(&self, limit: Duration) -> bool {
        let idle = self.streams.get() == 0 && self.idle_since.get().elapsed() >= limit;
        idle || self.is_closed()
    }
}

impl Lease {
    fn new(connection: &Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self {
            connection: connection.clone(),
            sender: connection.sender.borrow().clone(),
        }
    }

    pub(super) fn sender(&mut self) -> &mut SendRequest<Bytes> {
        &mut self.sender
    }

    /// How often something was sent on the connection.
    pub(super) fn writes(&self) -> u64 {
        self.connection.passage.writes()
    }

    /// Whether the upstream takes extended CONNECT (RFC 8441 section 3): waits for its settings.
    pub(in crate::http::proxy) async fn takes_extended_connect(&self) -> bool {
        let mut settled = self.connection.settled.clone();
        // Otherwise it is gone.
        settled.wait_for(|settled| *settled).await.is_ok()
            && self.sender.is_extended_connect_protocol_enabled()
    }

    pub(in crate::http::proxy) fn scheme(&self) -> Scheme {
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
