//! A small server to proxy to, on a thread of its own.
//!
//! Whatever stands before it in the path: `…/count` answers "LENGTH SUM" of the request's body, `…/bytes/N` N bytes
//! "p", `…/echo` streams the body back, `…/head` the request's head as it came, `…/status/N` an empty answer, and
//! `…/hang` nothing at all. `…/trailers` answers the request's trailers and has one of its own.
//!
//! It speaks HTTP/1.1, HTTP/2 with prior knowledge, or over TLS what is agreed on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::Pair;

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// Ends when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Upstream {
    pub fn start() -> Self {
        Self::speaking(Tongue::Http1)
    }

    pub fn start_http2() -> Self {
        Self::speaking(Tongue::Http2)
    }

    /// By TLS, with `protocols` to choose from.
    pub fn start_secure(pair: &Pair, protocols: &[&[u8]]) -> Self {
        Self::speaking(Tongue::Tls(acceptor(pair, protocols)))
    }

    /// How many connections it had.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn speaking(tongue: Tongue) -> Self {
        let (listener, address) = super::listener();
        let connections = Arc::<AtomicUsize>::default();
        let counted = connections.clone();
        listener
            .set_nonblocking(true)
            .expect("a socket can be non-blocking");
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            super::runtime().block_on(async move {
                tokio::select! {
                    () = serve(listener, tongue, &counted) => {},
                    _ = stopped => {},
                }
            });
        });
        Self {
            address,
            connections,
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

/// What is spoken on a connection.
#[derive(Clone)]
enum Tongue {
    Http1,
    Http2,
    Tls(TlsAcceptor),
}

/// TLS with `protocols` to choose from.
pub fn acceptor(pair: &Pair, protocols: &[&[u8]]) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&pair.cert_file).expect("our own file");
    let key = PrivateKeyDer::from_pem_file(&pair.key_file).expect("our own file");
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has its own protocol versions")
        .with_no_client_auth()
        .with_single_cert(chain.map(|der| der.expect("PEM")).collect(), key)
        .expect("our own pair");
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Arc::new(config).into()
}

/// Has `talk` speak on every connection to `listener`, for ever.
pub async fn accept_all<F>(
    listener: std::net::TcpListener,
    talk: impl Fn(tokio::net::TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    listener
        .set_nonblocking(true)
        .expect("a socket can be non-blocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(talk(stream));
    }
}

async fn serve(listener: std::net::TcpListener, tongue: Tongue, connections: &AtomicUsize) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let tongue = tongue.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match tongue {
                Tongue::Http1 => speak(stream, false).await,
                Tongue::Http2 => speak(stream, true).await,
                Tongue::Tls(acceptor) => {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    speak(stream, http2).await;
                }
            }
        });
    }
}

/// How a connection ends is the proxy's affair and seen at the other end.
async fn speak<S>(stream: S, http2: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, service) = (TokioIo::new(stream), service_fn(answer));
    if http2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(stream, service).await;
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        // Larger heads than are ever forwarded.
        builder.max_headers(2000).max_buf_size(1 << 20);
        let _ = builder.serve_connection(stream, service).await;
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
        (_, _, "trailers") => trailers(request.into_body()).await,
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

async fn trailers(body: Incoming) -> Answer {
    let sent = body.collect().await.ok();
    let sent = sent
        .and_then(|sent| sent.trailers().cloned())
        .unwrap_or_default();
    let mut lines = String::new();
    for (name, value) in &sent {
        lines += &format!("{name}: {}\n", value.to_str().unwrap_or("?"));
    }
    let mut own = HeaderMap::new();
    own.insert("x-sum", HeaderValue::from_static("7"));
    let frames = VecDeque::from([Frame::data(Bytes::from(lines)), Frame::trailers(own)]);
    let mut answer = Response::new(Frames(frames).boxed_unsync());
    answer
        .headers_mut()
        .insert("trailer", HeaderValue::from_static("x-sum"));
    answer
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

/// A body of unknown length.
struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
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
