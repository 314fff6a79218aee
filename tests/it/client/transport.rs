//! A client's connection: TCP, or TLS on top of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Where to connect, and how.
#[derive(Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// The local address: one for each client that opens many connections, so that ports never run out.
    pub from: Option<IpAddr>,
    pub tls: Option<Tls>,
}

#[derive(Clone)]
pub struct Tls {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
}

impl Endpoint {
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            from: None,
            tls: None,
        }
    }

    pub async fn connect(&self) -> io::Result<Transport> {
        let socket = TcpSocket::new_v4()?;
        if let Some(from) = self.from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Transport::Plain(stream));
        };
        let connector = tokio_rustls::TlsConnector::from(tls.config.clone());
        let stream = connector.connect(tls.name.clone(), stream).await?;
        Ok(Transport::Tls(Box::new(stream)))
    }
}

pub enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a look at an idle connection tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    Quiet,
    /// Bytes wait: a TLS record, or a response that nobody asked for.
    Bytes,
    Ended,
    Reset,
}

impl Transport {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Waits until something can be read, without reading it.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket().readable().await
    }

    /// Asks the kernel, not the runtime's memory of it: what arrived until now is seen.
    pub fn idle(&self) -> Idle {
        peek(self.socket().as_fd())
    }

    /// A second handle to the socket, for [`peek`] while someone else owns the connection.
    pub fn handle(&self) -> io::Result<std::os::fd::OwnedFd> {
        self.socket().as_fd().try_clone_to_owned()
    }

    pub fn negotiated_protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }
}

pub fn peek(socket: std::os::fd::BorrowedFd<'_>) -> Idle {
    let mut byte = [0u8; 1];
    match rustix::net::recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Idle::Ended,
        Ok(_) => Idle::Bytes,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Idle::Quiet,
        Err(_) => Idle::Reset,
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
