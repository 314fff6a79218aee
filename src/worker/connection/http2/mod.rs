//! HTTP/2 on a connection (RFC 9113): the `h2` crate has the protocol, this room what a server does with it.
//!
//! - this file: one connection from beginning to end, and its limits
//! - `serving`: its requests as they come in
//! - `stream`: a request's way to its response; `reply`, `head`: how that begins; `pipe`: its body
//! - `piece`: what goes out in DATA frames; `departure`: whether all of it has left
//! - `client_stream`: a stream that is a tunnel

mod client_stream;
mod departure;
mod head;
mod piece;
mod pipe;
mod reply;
mod serving;
mod stream;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use h2::server::Builder;

use self::serving::Serving;
use super::{Client, close, request};
use crate::config::types::{HeadLimits, Performance};
use crate::metrics::counters::Global;
use crate::worker::activity::{Activity, Order};
use crate::worker::io::{ClientIo, Returned, Transport};
use crate::worker::thread::{Listed, Protocol};

/// Requests at a time on one connection.
const MAX_STREAMS: u32 = 128;
/// Bytes of one frame's payload.
const MAX_FRAME: u32 = 16 * 1024;
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

/// Bytes that are read of a client after the end of its connection: what may have been on its way.
const LAST_FRAMES: u32 = 64 * 1024;

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
    let io = io.returning_to(returned.clone());
    let handshake = builder(&thread.process.config.performance).handshake(io);
    let mut serving = Serving::new(handshake, context);
    let polite = poll_fn(|context| {
        activity.register(context);
        activity.turn.set(activity.turn.get().wrapping_add(1));
        if obey(&activity, || serving.say_goaway()) {
            return Poll::Ready(false);
        }
        serving.poll(context).map(|()| true)
    })
    .await;
    drop(serving);
    if activity.flooded.get() {
        thread.recorder.add(Global::ConnectionsFlooding, 1);
    }
    match returned.take() {
        // GOAWAY is on its way; what the client still sends would be read for nothing.
        Some(_) if activity.flooded.get() => {}
        Some(transport) if polite => close::finish_within(transport, client, LAST_FRAMES).await,
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
        // In the middle of streams there is no better end than GOAWAY; it is written with its next poll.
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

/// Bytes of a decoded header list that `h2` takes in: every head that is allowed, and as much again, which is ours to
/// answer (RFC 9113 section 6.5.2 lets us want less than we announce). Beyond it `h2` says 431 by itself, and beyond four
/// times as much it ends the connection.
pub(in crate::worker) fn max_header_list(limits: &HeadLimits) -> u32 {
    // So much each field counts for beside its bytes.
    const FIELD: u32 = 32;
    2 * limits.size + limits.fields * FIELD
}

fn builder(performance: &Performance) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(max_header_list(&performance.head_limits()))
        .max_frame_size(MAX_FRAME)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER.max(performance.write_buffer_size as usize))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_OWN_RESETS))
        // WebSockets (RFC 8441).
        .enable_connect_protocol();
    builder
}
