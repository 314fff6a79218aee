//! New connections to upstream servers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::Stream;
use super::body::Upload;
use super::server::{Sender, Server};
use crate::config::types::UpstreamAddress;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    Refused,
    TimedOut,
}

/// Opens a connection to `server` within `limit`, the resolution of its name included.
pub(super) async fn connect(server: &Server, limit: Duration) -> Result<Sender, ConnectError> {
    let stream = open(server, limit).await?;
    shake_hands(stream).await.map_err(|_| ConnectError::Refused)
}

/// Opens a stream to `server` within `limit`, the resolution of its name included.
pub(super) async fn open(server: &Server, limit: Duration) -> Result<Stream, ConnectError> {
    let opening = open_before(server, Instant::now() + limit);
    match tokio::time::timeout(limit, opening).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(ConnectError::TimedOut),
        Ok(Err(_)) => Err(ConnectError::Refused),
        Err(_) => Err(ConnectError::TimedOut),
    }
}

async fn open_before(server: &Server, deadline: Instant) -> io::Result<Stream> {
    match &server.address {
        UpstreamAddress::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        UpstreamAddress::Http { host, port } => {
            let addresses = server.name.addresses(host, *port).await?;
            let stream = connect_any(&addresses, deadline).await;
            let stream = stream.inspect_err(|_| server.name.doubt())?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
    }
}

/// Tries one address after the other; each has its share of the time that is left.
async fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
    }
    Err(failure)
}

async fn shake_hands(stream: Stream) -> hyper::Result<Sender> {
    let (sender, connection) = http1::Builder::new()
        .handshake(TokioIo::new(stream))
        .await?;
    keep_driving(connection);
    Ok(sender)
}

/// Runs a connection until it ends.
pub(super) fn keep_driving(connection: http1::Connection<TokioIo<Stream>, Upload>) {
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
}
