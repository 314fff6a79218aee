//! How a connection ends, or comes to rest.

use std::future::poll_fn;
use std::os::fd::AsFd as _;
use std::time::Duration;

use http::StatusCode;
use rustix::net::sockopt;
use tokio::io::AsyncWriteExt as _;

use super::Client;
use crate::http::service::Connection;
use crate::worker::io::Transport;
use crate::worker::parked::{Entry, Peeked, Reason, Socket, peek, rest};

/// How long a client may take to accept our last bytes.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Puts a cleartext connection aside until its client speaks, or has closed.
pub fn park(transport: Transport, reason: Reason, client: Client) {
    if let Ok(Some(socket)) = deactivate(transport) {
        park_socket(socket, reason, client);
    }
}

fn park_socket(socket: Socket, reason: Reason, client: Client) {
    let since = client.thread().clock.now();
    let Connection { listener, peer, .. } = *client.connection;
    let entry = Entry {
        socket,
        listener,
        peer,
        reason,
        since,
        admission: client.admission,
    };
    rest(entry);
}

/// Says `status` to a client whose request head is malformed, or did not arrive in time (408, RFC 9110 section 15.5.9).
pub async fn answer(transport: Transport, status: StatusCode, client: Client) {
    let mut transport = transport;
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let answer = async {
        match &mut transport {
            Transport::Tcp(stream) => stream.write_all(head.as_bytes()).await,
            Transport::Unix(stream) => stream.write_all(head.as_bytes()).await,
            Transport::Tls(stream) => stream.write_all(head.as_bytes()).await,
        }
    };
    if matches!(tokio::time::timeout(LAST_WORDS, answer).await, Ok(Ok(()))) {
        finish(transport, client).await;
    }
}

/// Closes after our last byte: FIN first, then wait for the client's, so that no RST overtakes what we sent.
pub async fn finish(transport: Transport, client: Client) {
    finish_within(transport, client, u32::MAX).await;
}

/// The same, and reads no more than `most` bytes meanwhile.
pub async fn finish_within(mut transport: Transport, client: Client, most: u32) {
    // Only a close_notify that does not fit the socket's buffer has to wait.
    let farewell = poll_fn(|context| transport.poll_shutdown(context));
    if !matches!(tokio::time::timeout(LAST_WORDS, farewell).await, Ok(Ok(()))) {
        return;
    }
    let Ok(Some(socket)) = deactivate(bare(transport)) else {
        return;
    };
    if peek(&socket) != Peeked::Closed {
        park_socket(socket, Reason::Lingering { most }, client);
    }
}

/// Closes without a word to a client that does not take what it is sent: with FIN the kernel would keep it all, and wait.
pub fn reset(transport: &Transport) {
    // Where this fails there is no connection any more.
    let _ = sockopt::set_socket_linger(transport.as_fd(), Some(Duration::ZERO));
}

/// The transport without TLS: for reading to the end, or for an end that is none of TLS.
pub fn bare(transport: Transport) -> Transport {
    match transport {
        Transport::Tls(stream) => Transport::Tcp(stream.into_inner().0),
        other => other,
    }
}

/// The socket of a cleartext transport, out of the runtime's hands.
fn deactivate(transport: Transport) -> std::io::Result<Option<Socket>> {
    Ok(match transport {
        Transport::Tcp(stream) => Some(Socket::Tcp(stream.into_std()?.into())),
        Transport::Unix(stream) => Some(Socket::Unix(stream.into_std()?.into())),
        Transport::Tls(_) => None,
    })
}
