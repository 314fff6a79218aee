//! WebSockets to upstreams that speak HTTP/2, from clients of either version.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{OK, ask, in_time, read, sender};
use crate::harness::bws::Bws;
use crate::harness::certificates::Authority;
use crate::harness::demo::HOST;
use crate::harness::switching::read_head;
use crate::harness::upstream::{accept_all, acceptor};
use crate::harness::{PATIENCE, get, listener, runtime};

/// The example of RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An upstream that knows nothing but HTTP/2: a WebSocket says [`OK`] and echoes, at `/denied` it is answered 403.
#[derive(Clone, Default)]
struct Upstream {
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<Request<()>>>>,
}

impl Upstream {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, takes_websockets: bool) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let mut builder = Builder::new();
        if takes_websockets {
            builder.enable_connect_protocol();
        }
        let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
            return;
        };
        while let Some(Ok((request, respond))) = connection.accept().await {
            let (parts, body) = request.into_parts();
            let head = Request::from_parts(parts, ());
            self.heads.lock().unwrap().push(head.clone());
            tokio::spawn(answer(head, body, respond));
        }
    }

    /// Its address, on threads of its own that end with the test.
    fn start(takes_websockets: bool) -> (Self, SocketAddr) {
        let (listener, address) = listener();
        let upstream = Self::default();
        let serving = upstream.clone();
        std::thread::spawn(move || {
            runtime().block_on(accept_all(listener, move |stream| {
                serving.clone().serve(stream, takes_websockets)
            }));
        });
        (upstream, address)
    }
}

async fn answer(head: Request<()>, body: RecvStream, mut respond: SendResponse<Bytes>) {
    let protocol = head.extensions().get::<Protocol>().map(Protocol::as_str);
    let wanted = head.method() == Method::CONNECT && protocol == Some("websocket");
    let mut response = Response::new(());
    if !wanted || head.uri().path() == "/denied" {
        *response.status_mut() = match wanted {
            true => StatusCode::FORBIDDEN,
            false => StatusCode::OK,
        };
        let mut stream = respond.send_response(response, false).unwrap();
        let _ = stream.send_data(Bytes::from_static(b"no"), true);
        return;
    }
    let chosen = http::HeaderValue::from_static("chat");
    response
        .headers_mut()
        .insert("sec-websocket-protocol", chosen);
    let stream = respond.send_response(response, false).unwrap();
    echo(stream, body).await;
}

async fn echo(mut to: SendStream<Bytes>, mut from: RecvStream) {
    to.send_data(Bytes::from_static(OK), false).unwrap();
    while let Some(Ok(part)) = from.data().await {
        let _ = from.flow_control().release_capacity(part.len());
        if to.send_data(part, false).is_err() {
            return;
        }
    }
    let _ = to.send_data(Bytes::new(), true);
}

/// A site before `url`.
fn serve(folder: &tempfile::TempDir, url: &str, more: &str) -> (SocketAddr, Bws) {
    let (socket, address) = listener();
    let config = format!(
        "[performance]\nworker_threads = 1\n[[sites]]\nname = \"site\"\nhostname = \"{HOST}\"\nlisten = \"{address}\"\n\
         [sites.proxy]\nupstreams = [{{ name = \"up\", url = \"{url}\" }}]\n{more}\n"
    );
    (address, Bws::start(folder.path(), &config, vec![socket]))
}

fn upgrade(address: SocketAddr, path: &str, key: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: chat, WebSocket\r\n{key}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    (read_head(&mut stream).unwrap(), stream)
}

fn key() -> String {
    format!("Sec-WebSocket-Key: {KEY}\r\n")
}

fn expect(stream: &mut impl Read, bytes: &[u8]) {
    let mut seen = vec![0; bytes.len()];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(seen, bytes);
}

#[test]
fn an_upgrade_of_http_1_becomes_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, address) = Upstream::start(true);
    let (site, _server) = serve(&folder, &format!("h2c://{address}"), "");
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        let (head, mut stream) = upgrade(site, "/q%20/x?y", &key());
        assert!(
            head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
            "{head}"
        );
        for field in [
            format!("sec-websocket-accept: {ACCEPT}\r\n"),
            "upgrade: websocket\r\n".into(),
            "connection: upgrade\r\n".into(),
            "sec-websocket-protocol: chat\r\n".into(),
        ] {
            assert!(head.contains(&field), "{head}");
        }
        expect(&mut stream, OK);
        tunnels.push(stream);
    }
    for (number, stream) in tunnels.iter_mut().enumerate() {
        let block = vec![number as u8; 70_000];
        stream.write_all(&block).unwrap();
        expect(stream, &block);
    }
    assert_eq!(get(site, HOST, "/plain").0.status, 200);
    // Each finds its end, and the others go on.
    let mut first = tunnels.remove(0);
    first.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(first.read(&mut [0; 10]).unwrap(), 0);
    tunnels[0].write_all(b"more").unwrap();
    expect(&mut tunnels[0], b"more");
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
    let seen = upstream.heads.lock().unwrap();
    let head = &seen[0];
    assert_eq!(head.uri().path_and_query().unwrap(), "/q%20/x?y");
    assert_eq!(head.uri().scheme_str(), Some("http"));
    assert_eq!(head.headers()["sec-websocket-version"], "13");
    for name in ["sec-websocket-key", "upgrade", "connection"] {
        assert!(!head.headers().contains_key(name), "{head:?}");
    }
}

#[test]
fn a_stream_becomes_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (_, address) = Upstream::start(true);
    let (site, _server) = serve(&folder, &format!("h2c://{address}"), "");
    runtime().block_on(async {
        let mut sender = sender(site).await;
        let (response, mut up) = ask(&mut sender, "/x", "websocket").await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let mut down = response.into_body();
        assert_eq!(read(&mut down, OK.len()).await, OK);
        let block = Bytes::from(vec![7; 700_000]);
        up.send_data(block.clone(), true).unwrap();
        assert!(read(&mut down, usize::MAX).await == block);
        let (response, _) = ask(&mut sender, "/denied", "websocket").await;
        assert_eq!(response.status(), 403);
        in_time(sender.ready()).await.unwrap();
    });
}

#[test]
fn what_is_not_agreed_on_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (_, address) = Upstream::start(true);
    let (site, _server) = serve(&folder, &format!("h2c://{address}"), "");
    let status = |head: &str| head[9..12].parse::<u16>().unwrap();
    let (head, mut stream) = upgrade(site, "/denied", &key());
    assert_eq!(status(&head), 403);
    // Its length is known when all of it is here with its head.
    match head.contains("content-length: 2\r\n") {
        true => expect(&mut stream, b"no"),
        false => expect(&mut stream, b"2\r\nno\r\n0\r\n\r\n"),
    }
    assert_eq!(status(&upgrade(site, "/x", "").0), 400);
    // Nothing but HTTP/2, and no WebSockets there.
    let folder = tempfile::tempdir().unwrap();
    let (_, address) = Upstream::start(false);
    let (site, _server) = serve(&folder, &format!("h2c://{address}"), "");
    assert_eq!(status(&upgrade(site, "/x", &key()).0), 502);
    assert_eq!(get(site, HOST, "/plain").0.status, 200);
}

#[test]
fn by_tls_it_is_what_was_agreed_on() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let pair = authority.issue(folder.path(), "localhost", &["localhost"]);
    let (listener, address) = listener();
    let upstream = Upstream::default();
    let (serving, tls) = (upstream.clone(), acceptor(&pair, &[b"h2"]));
    std::thread::spawn(move || {
        runtime().block_on(accept_all(listener, move |stream| {
            let (serving, tls) = (serving.clone(), tls.clone());
            async move {
                if let Ok(stream) = tls.accept(stream).await {
                    serving.serve(stream, true).await;
                }
            }
        }));
    });
    let url = format!("https://localhost:{}", address.port());
    let more = "tls = { ca_file = \"ca.pem\", http2 = true }";
    let (site, _server) = serve(&folder, &url, more);
    let (head, mut stream) = upgrade(site, "/x", &key());
    assert!(head.contains(ACCEPT), "{head}");
    expect(&mut stream, OK);
    let seen = upstream.heads.lock().unwrap();
    assert_eq!(seen[0].uri().scheme_str(), Some("https"));
}
