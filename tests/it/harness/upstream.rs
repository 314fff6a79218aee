//! A small server to proxy to, on a thread of its own.
//!
//! Whatever stands before it in the path: `…/count` answers "LENGTH SUM" of the request's body, `…/bytes/N` N bytes
//! "p", `…/echo` streams the body back, `…/head` the request's head as it came, `…/status/N` an empty answer, and
//! `…/hang` nothing at all.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// Ends when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Upstream {
    pub fn start() -> Self {
        let (listener, address) = super::listener();
        listener
            .set_nonblocking(true)
            .expect("a socket can be non-blocking");
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            super::runtime().block_on(async move {
                tokio::select! {
                    () = serve(listener) => {},
                    _ = stopped => {},
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            // How a connection ends is the proxy's affair and seen at the other end.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let (rest, last) = path.rsplit_once('/').unwrap_or_default();
    let number = last.parse::<usize>().ok();
    Ok(match (rest.rsplit('/').next(), number, last) {
        (Some("bytes"), Some(length), _) => pattern(length),
        (Some("status"), Some(status), _) => empty(u16::try_from(status).unwrap_or(500)),
        (_, _, "count") => count(request.into_body()).await,
        (_, _, "echo") => Response::new(request.into_body().boxed_unsync()),
        (_, _, "hang") => std::future::pending().await,
        _ => text(head(&request)),
    })
}

fn head(request: &Request<Incoming>) -> String {
    let mut lines = format!(
        "{} {} {:?}\n",
        request.method(),
        request.uri(),
        request.version()
    );
    for (name, value) in request.headers() {
        lines += &format!("{name}: {}\n", value.to_str().unwrap_or("?"));
    }
    lines
}

async fn count(mut body: Incoming) -> Answer {
    let (mut length, mut sum) = (0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return empty(400) };
        if let Some(data) = frame.data_ref() {
            length += data.len();
            sum += data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    }
    text(format!("{length} {sum}"))
}

fn text(text: String) -> Answer {
    Response::new(
        Full::from(text)
            .map_err(|never| match never {})
            .boxed_unsync(),
    )
}

fn empty(status: u16) -> Answer {
    let mut answer = text(String::new());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    answer
}

fn pattern(length: usize) -> Answer {
    let mut answer = Response::new(Pattern { left: length }.boxed_unsync());
    let kind = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// Bytes "p" without a buffer of their size.
struct Pattern {
    left: usize,
}

static PIECE: [u8; 64 * 1024] = [b'p'; 64 * 1024];

impl Body for Pattern {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let part = self.left.min(PIECE.len());
        self.left -= part;
        let piece = Bytes::from_static(&PIECE[..part]);
        Poll::Ready((part > 0).then(|| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.left as u64)
    }
}
