//! A client connection from accept to close: `Active` (hyper state, buffers) ⇄ parked (a descriptor).

pub mod close;
mod http1;
#[cfg(test)]
pub(in crate::worker) use http1::poll_hyper;
mod http2;
#[cfg(test)]
pub(in crate::worker) use http2::max_header_list;
mod opening;
mod refusal;

mod request;
mod secure;

pub use request::RequestInFlight;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use bytes::Bytes;
use tokio::net::{TcpStream, UnixStream};

use super::io::Transport;
use super::journal;
use super::parked::{Entry, Reason, Socket};
use super::thread::{Admission, Thread};
use crate::http::service::Connection;
use crate::metrics::counters::Global;

/// What stays the same for a connection's whole life.
pub struct Client {
    pub connection: Rc<Connection>,
    pub admission: Admission,
}

impl Client {
    pub fn thread(&self) -> &Rc<Thread> {
        self.admission.thread()
    }
}

/// Serves a connection that was just accepted.
pub async fn serve(socket: OwnedFd, listener: u32, peer: Option<SocketAddr>, admission: Admission) {
    let socket = if peer.is_some() {
        Socket::Tcp(socket)
    } else {
        Socket::Unix(socket)
    };
    let Ok(mut transport) = activate(socket) else {
        return;
    };
    let thread = admission.thread().clone();
    let Some(peer) = opening::introduce(&mut transport, peer, &thread).await else {
        return;
    };
    let tls = thread.process.tls[listener as usize].as_ref();
    let (opened, entrance) = match opening::open(transport, tls, &thread).await {
        Ok((opened, entrance)) => (Ok(opened), entrance),
        Err(failure) => (Err(failure), None),
    };
    let mut connection = Connection::new(listener, peer, tls.is_some());
    connection.entrance = entrance;
    let client = Client {
        connection: Rc::new(connection),
        admission,
    };
    match opened {
        Ok(opening::Opened::Http1(transport)) => {
            http1::serve(transport, Bytes::new(), client, false).await;
        }
        Ok(opening::Opened::Http2(transport)) => http2::serve(transport, client).await,
        Ok(opening::Opened::Silent(transport)) => {
            close::park(transport, Reason::Idle { served: false }, client);
        }
        Err(opening::Failure::Tls) => thread.recorder.add(Global::TlsHandshakesFailed, 1),
        Err(opening::Failure::Refused(transport, reason)) => {
            journal::client_refused(peer, &reason);
            thread.recorder.add(Global::TlsHandshakesFailed, 1);
            close::finish(transport, client).await;
        }
        Err(opening::Failure::Gone) => {}
    }
}

/// Goes on with a parked connection whose client speaks again.
pub async fn resume(entry: Entry) {
    let Entry {
        socket,
        listener,
        peer,
        reason,
        admission,
        ..
    } = entry;
    let Ok(transport) = activate(socket) else {
        return;
    };
    let connection = Rc::new(Connection::new(listener, peer, false));
    let served = reason == Reason::Idle { served: true };
    let client = Client {
        connection,
        admission,
    };
    if !served && opening::speaks_http2(&transport, client.thread()).await == Some(true) {
        return http2::serve(transport, client).await;
    }
    http1::serve(transport, Bytes::new(), client, served).await;
}

fn activate(socket: Socket) -> std::io::Result<Transport> {
    Ok(match socket {
        Socket::Tcp(socket) => Transport::Tcp(TcpStream::from_std(socket.into())?),
        Socket::Unix(socket) => Transport::Unix(UnixStream::from_std(socket.into())?),
    })
}
