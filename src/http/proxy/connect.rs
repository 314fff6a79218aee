//! New connections to upstream servers.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::uri::Scheme;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::Stream;
use super::http1::Link;
use super::names::Origin;
use super::sender::Sender;
use super::server::Server;
use crate::config::types::{UpstreamAddress, UpstreamProtocol};

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    Refused,
    TimedOut,
}

/// A connection to `server` that takes a request: a new one, unless others share theirs.
pub(super) async fn connect(server: &Rc<Server>, limit: Duration) -> Result<Sender, ConnectError> {
    let deadline = Instant::now() + limit;
    let Some(scheme) = scheme_of_http2(&server.protocol) else {
        return Ok(Sender::Http1(open(server, deadline, false).await?.link()));
    };
    let opening = tokio::time::timeout_at(deadline, server.multiplexed.opening.lock());
    let _opening = opening.await.map_err(|_| ConnectError::TimedOut)?;
    let settling = tokio::time::timeout_at(deadline, server.multiplexed.settle());
    settling.await.map_err(|_| ConnectError::TimedOut)?;
    if let Some(lease) = server.multiplexed.take() {
        return Ok(Sender::Http2(lease));
    }
    let opened = open(server, deadline, true).await?;
    if !opened.stream.speaks_http2(&server.protocol) {
        return Ok(Sender::Http1(opened.link()));
    }
    let Opened { stream, origin } = opened;
    let lease = server.multiplexed.open(stream, origin, scheme);
    let lease = lease.await.map_err(|_| ConnectError::Refused)?;
    server.keep_sweeping();
    Ok(Sender::Http2(lease))
}

/// None where HTTP/2 is not spoken.
pub(super) fn scheme_of_http2(protocol: &UpstreamProtocol) -> Option<Scheme> {
    match protocol {
        UpstreamProtocol::Http2 => Some(Scheme::HTTP),
        UpstreamProtocol::Tls(tls) if tls.http2 => Some(Scheme::HTTPS),
        _ => None,
    }
}

/// A new connection.
pub(super) struct Opened {
    stream: Stream,
    origin: Origin,
}

impl Opened {
    /// For HTTP/1.1.
    pub(super) fn link(self) -> Link {
        let mut link = Link::new(self.stream);
        link.origin = self.origin;
        link
    }
}

/// Opens a stream to `server`, the resolution of its name and TLS included. Over TLS HTTP/2 is offered with `http2`
/// only.
pub(super) async fn open(
    server: &Server,
    deadline: Instant,
    http2: bool,
) -> Result<Opened, ConnectError> {
    let opening = tokio::time::timeout_at(deadline, open_before(server, deadline, http2));
    match opening.await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(ConnectError::TimedOut),
        Ok(Err(_)) => Err(ConnectError::Refused),
        Err(_) => Err(ConnectError::TimedOut),
    }
}

async fn open_before(server: &Server, deadline: Instant, http2: bool) -> io::Result<Opened> {
    let (host, port) = match &server.address {
        UpstreamAddress::Unix(path) => {
            let stream = Stream::Unix(UnixStream::connect(path).await?);
            let origin = Origin::default();
            return Ok(Opened { stream, origin });
        }
        UpstreamAddress::Http { host, port } => (host, *port),
        // Its targets are servers of their own.
        UpstreamAddress::Service(_) => return Err(io::ErrorKind::AddrNotAvailable.into()),
    };
    let addresses = server.name.addresses(host, port).await?;
    let round = server.name.round();
    let connected = connect_any(&addresses, deadline).await;
    let (stream, address) = connected.inspect_err(|_| server.name.doubt())?;
    let origin = Origin {
        round,
        address: Some(address.ip()),
    };
    stream.set_nodelay(true)?;
    let UpstreamProtocol::Tls(tls) = &server.protocol else {
        let stream = Stream::Tcp(stream);
        return Ok(Opened { stream, origin });
    };
    match server.tls.secure(stream, tls, http2).await {
        Ok(stream) => {
            let stream = Stream::Tls(Box::new(stream));
            Ok(Opened { stream, origin })
        }
        Err(error) => {
            let url = format!("https://{}:{port}", host.trim_end_matches('.'));
            server.tls.complain(&url, tls, &error);
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }
}

/// Tries one address after the other; each has its share of the time that is left.
async fn connect_any(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
    }
    Err(failure)
}
