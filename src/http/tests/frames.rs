//! Upstreams that speak HTTP/2 in frames made by hand (RFC 9113 section 4.1), and what they saw.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::upstream::proxy;
use crate::config::types::{Proxy, UpstreamProtocol};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;

const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The first whole frame of `bytes`.
    fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let head: [u8; 9] = bytes.get(..9)?.try_into().unwrap();
        let end = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = bytes.get(9..end)?.to_vec();
        bytes.drain(..end);
        Some(Self {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Four bytes of the payload as a number.
    pub(super) fn word(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }

    pub(super) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A head of literal fields that are not indexed (RFC 7541 section 6.2.2).
pub(super) fn head(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let field = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
    let block: Vec<u8> = fields.iter().flat_map(field).collect();
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

pub(super) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// A whole response.
pub(super) fn ok(stream: u32) -> Vec<u8> {
    let head = head(0, stream, &[(":status", "200")]);
    [head, frame(DATA, END_STREAM, stream, b"ok")].concat()
}

/// An upstream.
pub(super) struct Peer {
    pub(super) port: u16,
    pub(super) connections: Rc<Cell<usize>>,
    seen: Rc<RefCell<Vec<Frame>>>,
}

impl Peer {
    /// Answers every frame by what `answer` makes of it, which also hears the connection's number. What has GOAWAY in it is
    /// the last.
    pub(super) async fn start(answer: impl Fn(&Frame, usize) -> Vec<u8> + 'static) -> Self {
        Self::allowing(1000, answer).await
    }

    /// As [`Self::start`], with so many streams on a connection.
    pub(super) async fn allowing(
        streams: u32,
        answer: impl Fn(&Frame, usize) -> Vec<u8> + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Rc::default(),
            seen: Rc::default(),
        };
        let (connections, seen, answer) =
            (peer.connections.clone(), peer.seen.clone(), Rc::new(answer));
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.set(connections.get() + 1);
                let (number, seen, answer) = (connections.get(), seen.clone(), answer.clone());
                let answer = move |frame: &Frame| answer(frame, number);
                tokio::task::spawn_local(talk(stream, streams, seen, answer));
            }
        });
        peer
    }

    /// The frames of one kind.
    pub(super) fn seen(&self, kind: u8) -> Vec<Frame> {
        let seen = self.seen.borrow();
        seen.iter()
            .filter(|frame| frame.kind == kind)
            .cloned()
            .collect()
    }

    pub(super) fn requests(&self) -> usize {
        self.seen(HEADERS).len()
    }

    /// The bodies of all requests.
    pub(super) fn data(&self) -> Vec<u8> {
        let data = self.seen(DATA).into_iter();
        data.flat_map(|frame| frame.payload).collect()
    }

    /// The codes of streams that were given up.
    pub(super) fn resets(&self) -> Vec<u32> {
        self.seen(RST_STREAM).iter().map(Frame::word).collect()
    }
}

async fn talk(
    mut stream: TcpStream,
    streams: u32,
    seen: Rc<RefCell<Vec<Frame>>>,
    answer: impl Fn(&Frame) -> Vec<u8>,
) {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(preface, PREFACE);
    let settings = [&MAX_CONCURRENT_STREAMS[..], &streams.to_be_bytes()].concat();
    let hello = frame(SETTINGS, 0, 0, &settings);
    stream.write_all(&hello).await.unwrap();
    let mut bytes = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut bytes).await {
        while let Some(frame) = Frame::take(&mut bytes) {
            let mut said = match (frame.kind, frame.flags) {
                (SETTINGS, 0) => self::frame(SETTINGS, ACK, 0, &[]),
                _ => answer(&frame),
            };
            seen.borrow_mut().push(frame);
            if stream.write_all(&said).await.is_err() {
                return;
            }
            while let Some(frame) = Frame::take(&mut said) {
                if frame.kind == GOAWAY {
                    return;
                }
            }
        }
    }
}

/// An upstream that answers each request by what `answer` makes of its stream.
pub(super) async fn answering(answer: impl Fn(u32) -> Vec<u8> + 'static) -> Peer {
    Peer::start(move |frame, _| match frame.kind {
        HEADERS => answer(frame.stream),
        _ => Vec::new(),
    })
    .await
}

/// A site before upstreams by HTTP/2.
pub(super) fn by_http2(peers: &[&Peer]) -> Proxy {
    let ports: Vec<u16> = peers.iter().map(|peer| peer.port).collect();
    let mut proxy = proxy(&ports);
    for server in &mut proxy.pools[0].servers {
        server.protocol = UpstreamProtocol::Http2;
    }
    proxy
}
