//! Tunnels on their way from one generation to the next: two sockets, and what was read and not written yet.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpStream, UnixStream};

use super::frames::Frames;
use super::pump::Pump;
use super::way::Way;
use crate::http::proxy::Stream;
use crate::ipc::message::{TravellingTunnel, TravellingWay};
use crate::worker::activity::Activity;
use crate::worker::connection::Client;
use crate::worker::io::Transport;
use crate::worker::sweep::{TICK, ticks};
use crate::worker::thread::{Report, Thread};

/// A tunnel between two generations.
#[derive(Debug)]
pub struct Passenger {
    pub tunnel: TravellingTunnel,
    pub client: OwnedFd,
    pub upstream: OwnedFd,
}

/// Sends `pump` to the next generation. What cannot go is dropped.
pub fn leave(pump: Pump<Transport>, client: &Client) {
    let unix_upstream = matches!(pump.upstream, Stream::Unix(_));
    let sockets = socket_of_client(pump.client).zip(socket_of_upstream(pump.upstream));
    let Some((client_socket, upstream)) = sockets else {
        return;
    };
    let tunnel = TravellingTunnel {
        peer: client.connection.peer,
        unix_upstream,
        idle_ms: u64::from(pump.activity.patience.get()) * TICK.as_millis() as u64,
        up: pack(&pump.up),
        down: pack(&pump.down),
    };
    let passenger = Passenger {
        tunnel,
        client: client_socket,
        upstream,
    };
    if let Some(way_out) = &*client.thread().way_out.borrow() {
        // Nobody listens only when the process ends.
        let _ = way_out.send(Report::HandOverTunnel(Box::new(passenger)));
    }
}

/// Whether both sides are sockets without more state than the kernel's.
pub fn can_travel(pump: &Pump<Transport>) -> bool {
    matches!(pump.client, Transport::Tcp(_) | Transport::Unix(_))
        && matches!(pump.upstream, Stream::Tcp(_) | Stream::Unix(_))
}

fn socket_of_client(client: Transport) -> Option<OwnedFd> {
    match client {
        Transport::Tcp(stream) => Some(stream.into_std().ok()?.into()),
        Transport::Unix(stream) => Some(stream.into_std().ok()?.into()),
        Transport::Tls(_) => None,
    }
}

fn socket_of_upstream(upstream: Stream) -> Option<OwnedFd> {
    match upstream {
        Stream::Tcp(stream) => Some(stream.into_std().ok()?.into()),
        Stream::Unix(stream) => Some(stream.into_std().ok()?.into()),
        Stream::Tls(_) | Stream::WebSocket(_) => None,
    }
}

/// Goes on with a tunnel of the generation before.
pub fn arrive(passenger: Passenger, thread: &Rc<Thread>) -> std::io::Result<Pump<Transport>> {
    let Passenger {
        tunnel,
        client,
        upstream,
    } = passenger;
    let client = match tunnel.peer {
        Some(_) => Transport::Tcp(TcpStream::from_std(client.into())?),
        None => Transport::Unix(UnixStream::from_std(client.into())?),
    };
    let upstream = match tunnel.unix_upstream {
        false => Stream::Tcp(TcpStream::from_std(upstream.into())?),
        true => Stream::Unix(UnixStream::from_std(upstream.into())?),
    };
    let activity = Activity::new(thread.clock.clone());
    activity
        .patience
        .set(ticks(Duration::from_millis(tunnel.idle_ms)));
    Ok(Pump {
        client,
        upstream,
        up: unpack(tunnel.up),
        down: unpack(tunnel.down),
        activity: Rc::new(activity),
        thread: thread.clone(),
        occupancy: None,
    })
}

fn pack(way: &Way) -> TravellingWay {
    TravellingWay {
        pending: way.pending.to_vec(),
        finished: way.finished,
        closed: way.closed,
        frames: way.frames.as_ref().map(Frames::place),
    }
}

fn unpack(way: TravellingWay) -> Way {
    Way {
        pending: Bytes::from(way.pending),
        finished: way.finished,
        closed: way.closed,
        frames: way.frames.as_ref().map(Frames::at),
        unflushed: false,
    }
}
