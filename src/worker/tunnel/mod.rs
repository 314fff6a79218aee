//! A client and an upstream that agreed on another protocol than HTTP: bytes both ways, whatever they mean.
//!
//! - this file: how a tunnel begins, ends, and comes from an older generation
//! - `pump`: both directions together; `way`: one of them
//! - `frames`: where WebSocket frames end
//! - `travel`: a tunnel as a message
mod frames;
mod pump;
mod travel;
mod way;

pub use travel::Passenger;

use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use self::frames::{GOODBYE, MASKED_GOODBYE};
use self::pump::{End, Pump};
use self::way::Way;
use super::activity::{Activity, Order};
use super::connection::{Client, close};
use super::io::Transport;
use super::sweep::ticks;
use super::thread::{Admission, Listed, Protocol, Thread};
use crate::http::in_flight::InFlight;
use crate::http::proxy::{Stream, Tunnel};
use crate::http::service::Connection;

/// After so much silence the kernel asks whether the other machine still lives.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long a goodbye may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Makes a tunnel of an HTTP/1 connection. `early`: what the client said after its request.
pub fn begin(transport: Transport, early: Bytes, tunnel: Tunnel, client: Client) {
    let pump = pump(transport, early, tunnel, client.thread());
    // A task of its own is smaller than that of the connection.
    tokio::task::spawn_local(carry(pump, client));
}

/// Goes on with a tunnel of an older generation.
pub fn resume(passenger: Passenger, thread: &Rc<Thread>) {
    // Whatever the listener was: no request will come any more.
    let connection = Rc::new(Connection::new(0, passenger.tunnel.peer, false));
    let client = Client {
        connection,
        admission: Admission::new(thread),
    };
    if let Ok(pump) = travel::arrive(passenger, thread) {
        tokio::task::spawn_local(carry(pump, client));
    }
}

/// Makes a tunnel of a stream of an HTTP/2 connection, which is busy as long as it lasts.
pub fn over_http2<C>(thread: Rc<Thread>, client: C, tunnel: Tunnel, busy: InFlight)
where
    C: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut pump = pump(client, Bytes::new(), tunnel, &thread);
    tokio::task::spawn_local(async move {
        let _busy = busy;
        let _listed = Listed::new(&thread, &pump.activity, Protocol::Tunnel);
        if pump.run(false).await == End::Goodbye {
            say_goodbye(&mut pump.client, &mut pump.upstream).await;
        }
        let _ = tokio::time::timeout(LAST_WORDS, pump.client.shutdown()).await;
    });
}

fn pump<C>(client: C, early: Bytes, tunnel: Tunnel, thread: &Rc<Thread>) -> Pump<C> {
    let activity = Activity::new(thread.clock.clone());
    activity.patience.set(ticks(tunnel.idle));
    Pump {
        client,
        upstream: tunnel.upstream,
        up: Way::new(early, tunnel.websocket),
        down: Way::new(tunnel.early, tunnel.websocket),
        activity: Rc::new(activity),
        thread: thread.clone(),
        occupancy: tunnel.occupancy,
    }
}

async fn carry(mut pump: Pump<Transport>, client: Client) {
    keep_alive(&pump);
    let thread = client.thread().clone();
    let listed = Listed::new(&thread, &pump.activity, Protocol::Tunnel);
    let leaves = travel::can_travel(&pump);
    if leaves && thread.way_out.borrow().is_some() {
        pump.activity.give(Order::Park);
    }
    let end = pump.run(leaves).await;
    drop(listed);
    match end {
        End::Leaves => return travel::leave(pump, &client),
        End::Goodbye => say_goodbye(&mut pump.client, &mut pump.upstream).await,
        End::Over | End::Cut => {}
    }
    drop((pump.upstream, pump.occupancy));
    close::finish(pump.client, client).await;
}

/// Tells both sides of a WebSocket that this end goes away.
async fn say_goodbye<C: AsyncWrite + Unpin>(client: &mut C, upstream: &mut Stream) {
    let words = async {
        // A side that does not listen any more need not be told.
        let _ = upstream.write_all(&MASKED_GOODBYE).await;
        let _ = upstream.flush().await;
        let _ = client.write_all(&GOODBYE).await;
        let _ = client.flush().await;
    };
    let _ = tokio::time::timeout(LAST_WORDS, words).await;
}

/// A silent side may be gone for ever: its machine is asked. Refused only by what is no TCP socket.
fn keep_alive(pump: &Pump<Transport>) {
    let ask = |socket: &dyn AsFd| {
        let _ = sockopt::set_socket_keepalive(socket.as_fd(), true);
        let _ = sockopt::set_tcp_keepidle(socket.as_fd(), KEEPALIVE);
    };
    match &pump.client {
        Transport::Tcp(stream) => ask(stream),
        Transport::Tls(stream) => ask(stream.get_ref().0),
        Transport::Unix(_) => {}
    }
    match &pump.upstream {
        Stream::Tcp(stream) => ask(stream),
        Stream::Tls(stream) => ask(stream.get_ref().0),
        // Its connection has other means.
        Stream::Unix(_) | Stream::WebSocket(_) => {}
    }
}
