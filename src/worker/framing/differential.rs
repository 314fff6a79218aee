//! The gate beside what it guards: for its tests, and for tests/fuzz.

use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::UnixStream;

use super::{Gate, Refusal, Scanner};
use crate::config::types::HeadLimits;
use crate::metrics::counters::Recorder;
use crate::worker::activity::{Activity, Clock};
use crate::worker::io::{ClientIo, Transport};

pub fn verdict(bytes: &[u8]) -> (usize, Option<Refusal>) {
    let mut scanner = Scanner::default();
    (scanner.scan(bytes), scanner.refusal())
}

/// What hyper would get, when the bytes come in `pieces`.
pub fn sifted(pieces: &[&[u8]]) -> (Vec<u8>, Option<Refusal>) {
    let mut gate = Gate::default();
    let mut given = Vec::new();
    for piece in pieces {
        if gate.refusal().is_some() {
            break;
        }
        if gate.is_empty() {
            let passed = gate.sift(piece);
            given.extend_from_slice(&piece[..passed]);
        } else {
            gate.extend(piece);
        }
        loop {
            // Smaller than most heads, so that hyper gets them in parts.
            let mut space = [0; 7];
            let mut buffer = ReadBuf::new(&mut space);
            if !gate.give(&mut buffer) {
                break;
            }
            given.extend_from_slice(buffer.filled());
        }
    }
    (given, gate.refusal())
}

pub fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|at| at % (bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for at in places.into_iter().chain([bytes.len()]) {
        if at > start {
            pieces.push(&bytes[start..at]);
            start = at;
        }
    }
    pieces
}

/// Runs hyper behind the gate until it has seen `complete` messages; their bodies.
pub async fn served(pieces: &[&[u8]], complete: usize) -> Vec<Vec<u8>> {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    let activity = Rc::new(Activity::new(Rc::<Clock>::default()));
    let io = ClientIo::new(
        Transport::Unix(far),
        activity.clone(),
        Recorder::detached(0),
    );
    let bodies = Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = bodies.clone();
    let counted = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        counted.note_request();
        let seen = seen.clone();
        async move {
            if let Ok(body) = request.into_body().collect().await {
                seen.borrow_mut().push(body.to_bytes().to_vec());
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    let server = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(
            TokioIo::new(io.guarded(Bytes::new(), HeadLimits::default())),
            service,
        );
    let client = async {
        let (mut answers, mut requests) = near.into_split();
        let write = async {
            for piece in pieces {
                // Whom we are refused by may be gone.
                if requests.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(requests);
        };
        let read = async {
            let mut all = Vec::new();
            let _ = answers.read_to_end(&mut all).await;
        };
        tokio::join!(write, read);
    };
    // What the connection does: it ends at a refusal, when all that came before is answered.
    let mut server = Box::pin(server);
    let (watched, answered) = (activity.clone(), bodies.clone());
    // When this is over its I/O is dropped, which ends the client.
    let served = poll_fn(move |context| match server.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending if watched.refusal.get().is_none() => Poll::Pending,
        Poll::Pending if answered.borrow().len() < complete => Poll::Pending,
        Poll::Pending => Poll::Ready(()),
    });
    let served = async {
        served.await;
    };
    let both = async { tokio::join!(served, client) };
    let ended = tokio::time::timeout(Duration::from_secs(20), both).await;
    assert!(ended.is_ok(), "hyper waits for what it never gets");
    bodies.take()
}
