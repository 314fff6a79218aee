//! HTTP/2 on a connection (RFC 9113).

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::{Client, close, request};
use crate::config::types::Performance;
use crate::worker::activity::{Activity, Order};
use crate::worker::io::{ClientIo, Returned, Transport};
use crate::worker::thread::{Listed, Protocol};

/// Requests at a time on one connection.
const MAX_STREAMS: u32 = 128;
/// Bytes of a decoded header list.
const MAX_HEADER_LIST: u32 = 32 * 1024;
/// Bytes that a client may send on one stream, and on all, before a handler took them.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes buffered for one stream on its way out.
const SEND_BUFFER: usize = 128 * 1024;
/// Streams that a client may have reset before we looked at them (CVE-2023-44487). How fast it may reset others
/// `worker::frames` says.
const MAX_PENDING_RESETS: usize = 32;
/// Streams that we may have to reset for a client's mistakes, refused ones included (CVE-2025-8671).
const MAX_OWN_RESETS: usize = 128;

/// Runs the futures of a connection's streams on its own thread.
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

/// Serves a connection until it closes.
pub async fn serve(transport: Transport, client: Client) {
    let thread = client.thread().clone();
    let activity = Rc::new(Activity::new(thread.clock.clone()));
    let _listed = Listed::new(&thread, &activity, Protocol::Http2);
    if thread.draining.get() {
        activity.give(Order::Drain);
    }
    let returned = Returned::default();
    activity.note_block(true);
    let io = ClientIo::new(transport, activity.clone(), thread.recorder).watched();
    let context = request::Context {
        thread: thread.clone(),
        connection: client.connection.clone(),
        activity: activity.clone(),
        counted: Rc::default(),
        files: None,
    };
    let service = service_fn(move |request| request::answer(context.clone(), request));
    let mut connection = builder(&thread.process.config.performance)
        .serve_connection(TokioIo::new(io.returning_to(returned.clone())), service);
    let polite = poll_fn(|context| {
        activity.register(context);
        activity.turn.set(activity.turn.get().wrapping_add(1));
        if obey(&activity, || Pin::new(&mut connection).graceful_shutdown()) {
            return Poll::Ready(false);
        }
        // Of a client's mistake hyper has told it by GOAWAY.
        Pin::new(&mut connection).poll(context).map(|_| true)
    })
    .await;
    drop(connection);
    match returned.take() {
        // GOAWAY is on its way; what the client still sends would be read for nothing.
        Some(_) if activity.flooded.get() => {}
        Some(transport) if polite => close::finish(transport, client).await,
        Some(transport) if activity.write_blocked.get() => close::reset(&transport),
        _ => {}
    }
}

/// Follows the sweep's order; true when the connection is to be dropped.
fn obey(activity: &Activity, say_goaway: impl FnOnce()) -> bool {
    match activity.take_order() {
        Some(Order::Drain) => {
            say_goaway();
            false
        }
        // In the middle of streams there is no better end than GOAWAY; hyper writes it with its next poll.
        Some(Order::TooSlow) => {
            say_goaway();
            activity.give(Order::Close);
            false
        }
        Some(Order::Close) if activity.waits_for_client() => true,
        Some(Order::Close) => activity.quiet() > 0 || activity.in_block() > 0,
        _ => false,
    }
}

fn builder(performance: &Performance) -> Builder<LocalExecutor> {
    let mut builder = Builder::new(LocalExecutor);
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER.max(performance.write_buffer_size as usize))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_OWN_RESETS)
        // WebSockets (RFC 8441).
        .enable_connect_protocol();
    builder
}
