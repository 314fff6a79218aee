//! Our reader of responses beside hyper's, which has no say in it: for its tests, and for tests/fuzz.

use std::future::poll_fn;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::super::Stream;
use super::super::headers;
use super::super::upload::Upload;
use super::{Link, Message, send};

/// A whole response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// Shows both readers what an upstream says, in `pieces`, before it leaves. What we take for a response must be one for
/// hyper, and the same. Needs a runtime.
pub async fn compare(pieces: &[&[u8]], method: Method) {
    if let Some(ours) = ours(pieces, &method).await {
        assert_eq!(Some(ours), hypers(pieces, &method).await);
    }
}

/// What we make of it; None when it is no sound response.
pub(super) async fn ours(pieces: &[&[u8]], method: &Method) -> Option<Reading> {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    let reading = async {
        let target = Uri::from_static("/");
        let message = Message {
            method,
            target: &target,
            host: &HeaderValue::from_static("a"),
            headers: &HeaderMap::new(),
            expects: false,
        };
        let link = Link::new(Stream::Unix(near));
        let response = send(link, &message, Upload::empty(), &|_| ()).await.ok()?;
        let (parts, mut incoming) = response.into_parts();
        let (mut body, mut trailers) = (Vec::new(), None);
        while let Some(frame) = poll_fn(|context| incoming.poll_frame(context)).await {
            match frame.ok()?.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Some(read(Response::from_parts(parts, ()), body, trailers))
    };
    in_time(reading, say(far, pieces)).await
}

async fn hypers(pieces: &[&[u8]], method: &Method) -> Option<Reading> {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    let reading = async {
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(near)).await;
        let (mut sender, connection) = shaken.ok()?;
        let reading = async {
            let mut request = Request::new(Empty::<bytes::Bytes>::new());
            *request.method_mut() = method.clone();
            let response = sender.send_request(request).await.ok()?;
            let (parts, incoming) = response.into_parts();
            let body = incoming.collect().await.ok()?;
            let trailers = body.trailers().cloned();
            let body = body.to_bytes().to_vec();
            Some(read(Response::from_parts(parts, ()), body, trailers))
        };
        let mut reading = Box::pin(reading);
        let mut connection = Box::pin(connection);
        tokio::select! {
            biased;
            read = &mut reading => read,
            _ = &mut connection => reading.await,
        }
    };
    in_time(reading, say(far, pieces)).await
}

fn read(response: Response<()>, body: Vec<u8>, trailers: Option<HeaderMap>) -> Reading {
    let mut headers = response.headers().clone();
    headers::strip_hop_by_hop(&mut headers);
    Reading {
        status: response.status().as_u16(),
        headers,
        body,
        trailers,
    }
}

/// Hears a request, and then says `pieces`.
async fn say(mut stream: UnixStream, pieces: &[&[u8]]) {
    let mut heard = [0; 1024];
    let _ = stream.read(&mut heard).await;
    for piece in pieces {
        // Who found it unsound may be gone.
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

async fn in_time<T>(reading: impl Future<Output = T>, saying: impl Future<Output = ()>) -> T {
    let both = async { tokio::join!(reading, saying).0 };
    let outcome = tokio::time::timeout(Duration::from_secs(20), both).await;
    outcome.expect("a reader waits for what it never gets")
}
