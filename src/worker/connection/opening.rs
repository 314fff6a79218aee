//! The first moments of a connection: who it is from, the TLS handshake, and which HTTP the client speaks.

use std::net::SocketAddr;
use std::time::Duration;

use super::secure;
use crate::http::service::Entrance;
use crate::tls::TlsListener;
use crate::worker::io::Transport;
use crate::worker::proxy_protocol::{self, Source};
use crate::worker::thread::Thread;

/// How an HTTP/2 client with prior knowledge begins (RFC 9113 section 3.4): enough of it to tell it from HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a new client may be silent before its connection is parked.
const SILENCE: Duration = Duration::from_millis(500);

/// How long to wait before looking again at a preface that came in pieces.
const PIECE_PAUSE: Duration = Duration::from_millis(5);

pub enum Opened {
    Http1(Transport),
    Http2(Transport),
    /// Connected, and said nothing yet.
    Silent(Transport),
}

pub enum Failure {
    Tls,
    /// The same, and the client has yet to hear why.
    Refused(Transport, String),
    Gone,
}

/// Who is at the other end, which a trusted proxy may have to say first. None when it does not, and the connection is
/// to be closed.
pub async fn introduce(
    transport: &mut Transport,
    peer: Option<SocketAddr>,
    thread: &Thread,
) -> Option<Option<SocketAddr>> {
    let (Transport::Tcp(stream), Some(proxy)) = (transport, peer) else {
        return Some(peer);
    };
    if !thread.process.http.is_introduced_by(proxy.ip()) {
        return Some(peer);
    }
    let limit = thread.process.config.performance.header_timeout;
    match tokio::time::timeout(limit, Box::pin(proxy_protocol::read(stream))).await {
        Ok(Ok(Source::Client(client))) => Some(Some(client)),
        Ok(Ok(Source::Proxy)) => Some(peer),
        Ok(Err(error)) => {
            tracing::debug!(%proxy, %error, "no PROXY protocol header");
            None
        }
        Err(_late) => None,
    }
}

/// Handshake and protocol choice, within the header timeout; and what the handshake settled, if there was one.
pub async fn open(
    transport: Transport,
    tls: Option<&TlsListener>,
    thread: &Thread,
) -> Result<(Opened, Option<Entrance>), Failure> {
    let Some(tls) = tls else {
        let opened = match speaks_http2(&transport, thread).await {
            Some(true) => Opened::Http2(transport),
            Some(false) => Opened::Http1(transport),
            None => Opened::Silent(transport),
        };
        return Ok((opened, None));
    };
    let Transport::Tcp(stream) = transport else {
        return Err(Failure::Gone);
    };
    let limit = thread.process.config.performance.header_timeout;
    let handshake = Box::pin(secure::handshake(stream, tls));
    let stream = match tokio::time::timeout(limit, handshake).await {
        Ok(Ok(Some(stream))) => stream,
        // The authority has seen what it wanted to see.
        Ok(Ok(None)) => return Err(Failure::Gone),
        Ok(Err(secure::Failure::Refused(stream, reason))) => {
            return Err(Failure::Refused(Transport::Tcp(stream), reason));
        }
        _ => return Err(Failure::Tls),
    };
    let session = stream.get_ref().1;
    let entrance = secure::entrance(session, tls, &thread.process.config).ok_or(Failure::Tls)?;
    let http2 = session.alpn_protocol() == Some(b"h2");
    let transport = Transport::Tls(Box::new(stream));
    let opened = if http2 {
        Opened::Http2(transport)
    } else {
        Opened::Http1(transport)
    };
    Ok((opened, Some(entrance)))
}

/// Whether a cleartext client begins with the HTTP/2 preface; `None` when it says nothing for a moment. Nothing is taken
/// from the stream.
pub async fn speaks_http2(transport: &Transport, thread: &Thread) -> Option<bool> {
    let Transport::Tcp(stream) = transport else {
        return Some(false);
    };
    let mut start = [0; PREFACE.len()];
    let peeked = tokio::time::timeout(SILENCE, stream.peek(&mut start))
        .await
        .ok()?;
    // An error is found again, and dealt with, by the HTTP/1 side.
    let mut count = peeked.unwrap_or_default();
    let patience = thread.process.config.performance.header_timeout;
    let until = tokio::time::Instant::now() + patience;
    while is_piece(&start[..count]) && tokio::time::Instant::now() < until {
        tokio::time::sleep(PIECE_PAUSE).await;
        count = stream.peek(&mut start).await.unwrap_or_default();
    }
    Some(start[..count] == *PREFACE)
}

fn is_piece(start: &[u8]) -> bool {
    !start.is_empty() && start.len() < PREFACE.len() && PREFACE.starts_with(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unfinished_preface_is_waited_for() {
        assert!(is_piece(b"PRI * HT"));
        assert!(!is_piece(b""));
        assert!(!is_piece(b"POST / H"));
        assert!(!is_piece(PREFACE));
    }
}
