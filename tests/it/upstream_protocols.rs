//! Upstreams that are spoken to by TLS or HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use tokio::net::TcpListener;

use crate::client::transport::Endpoint;
use crate::harness::bws::Bws;
use crate::harness::certificates::{Authority, Pair};
use crate::harness::demo::HOST;
use crate::harness::upstream::Upstream;
use crate::harness::{PATIENCE, fetch, get, listener, runtime};

struct House {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { folder, authority }
    }

    fn pair(&self, name: &str) -> Pair {
        self.authority.issue(self.folder.path(), name, &[name])
    }

    /// A site that passes everything on to `url`.
    fn serve(&self, url: &str, tls: &str) -> (SocketAddr, Bws) {
        let (socket, plain) = listener();
        let config = format!(
            "[performance]\nworker_threads = 1\n[[sites]]\nname = \"site\"\nhostname = \"{HOST}\"\nlisten = \"{plain}\"\n\
             [sites.proxy]\nupstreams = [{{ name = \"up\", url = \"{url}\" }}]\n{tls}\n"
        );
        let server = Bws::start(self.folder.path(), &config, vec![socket]);
        (plain, server)
    }
}

#[test]
fn a_trusted_upstream_is_spoken_to_by_tls() {
    let house = House::new();
    let upstream = Upstream::start_secure(&house.pair("localhost"), &[b"http/1.1"]);
    let url = format!("https://localhost:{}", upstream.address.port());
    let (plain, _server) = house.serve(&url, "tls = { ca_file = \"ca.pem\" }");
    for _ in 0..3 {
        let (head, body) = get(plain, HOST, "/head");
        assert_eq!(head.status, 200);
        assert!(body.starts_with(b"GET /head HTTP/1.1\n"));
    }
    assert_eq!(upstream.connections(), 1);
    let block = "x".repeat(1_000_000);
    let post = format!(
        "POST /count HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{block}",
        block.len()
    );
    assert_eq!(fetch(plain, &post).1, b"1000000 120000000");
}

#[test]
fn who_cannot_be_trusted_is_named() {
    let house = House::new();
    let expired = house
        .authority
        .issue_expired(house.folder.path(), "old", &["localhost"]);
    for (pair, tls, status, reason) in [
        (house.pair("localhost"), "", 502, "unknown authority"),
        (house.pair("localhost"), "tls = { verify = false }", 200, ""),
        (
            house.pair("other"),
            "tls = { ca_file = \"ca.pem\" }",
            502,
            "is not for 'localhost'",
        ),
        (
            house.pair("other"),
            "tls = { ca_file = \"ca.pem\", server_name = \"other\" }",
            200,
            "",
        ),
        (expired, "tls = { ca_file = \"ca.pem\" }", 502, "expired"),
    ] {
        let upstream = Upstream::start_secure(&pair, &[]);
        let url = format!("https://localhost:{}", upstream.address.port());
        let (plain, server) = house.serve(&url, tls);
        assert_eq!(get(plain, HOST, "/head").0.status, status, "{tls}");
        // A server that failed is left alone (503) after a while.
        assert_eq!(get(plain, HOST, "/head").0.status == 200, status == 200);
        let said = server.process.output();
        assert!(said.contains(reason), "{said}");
        let complaints = said.matches("no TLS with upstream").count();
        assert_eq!(complaints, usize::from(status == 502), "{said}");
    }
}

#[test]
fn http_2_is_spoken_where_it_is_agreed_on() {
    let house = House::new();
    let pair = house.pair("localhost");
    for (protocols, tls, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], "http2 = true", "HTTP/2.0"),
        (&[b"h2", b"http/1.1"], "http2 = false", "HTTP/1.1"),
        (&[b"http/1.1"], "http2 = true", "HTTP/1.1"),
    ] {
        let upstream = Upstream::start_secure(&pair, protocols);
        let url = format!("https://localhost:{}", upstream.address.port());
        let tls = format!("tls = {{ ca_file = \"ca.pem\", {tls} }}");
        let (plain, _server) = house.serve(&url, &tls);
        let (_, body) = get(plain, HOST, "/head");
        let text = String::from_utf8(body).unwrap();
        assert!(
            text.starts_with(&format!("GET /head {version}\n")) || text.contains(version),
            "{text}"
        );
    }
}

#[test]
fn many_requests_share_a_connection() {
    let house = House::new();
    let upstream = Upstream::start_http2();
    let (plain, _server) = house.serve(&format!("h2c://{}", upstream.address), "");
    runtime().block_on(async {
        let requests = (0..60).map(|number| async move {
            let mut sender = client(plain).await;
            let path = format!("/bytes/{}", number * 1000);
            let (status, body, _) = ask(&mut sender, "GET", &path, None, None).await;
            assert_eq!((status, body.len()), (200, number * 1000));
        });
        let tasks: Vec<_> = requests.map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn trailers_pass_both_ways() {
    let house = House::new();
    let (http1, http2) = (Upstream::start(), Upstream::start_http2());
    for url in [
        format!("http://{}", http1.address),
        format!("h2c://{}", http2.address),
    ] {
        let (plain, _server) = house.serve(&url, "");
        runtime().block_on(async {
            let mut sender = client(plain).await;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-check", HeaderValue::from_static("9"));
            let sent = Some(Bytes::from_static(b"body"));
            let (status, body, trailers) =
                ask(&mut sender, "POST", "/trailers", sent, Some(trailers)).await;
            assert_eq!((status, &body[..]), (200, &b"x-check: 9\n"[..]), "{url}");
            assert_eq!(trailers.unwrap()["x-sum"], "7");
        });
        let chunked = format!(
            "POST /trailers HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nConnection: TE, close\r\n\
             Trailer: x-check\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-check: 8\r\n\r\n"
        );
        let answer = raw(plain, &chunked);
        assert!(answer.contains("x-check: 8\n"), "{answer}");
        assert!(answer.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    }
}

#[test]
fn a_refused_stream_goes_to_another_connection() {
    let house = House::new();
    let (socket, address) = listener();
    socket.set_nonblocking(true).unwrap();
    runtime().block_on(async {
        let listener = TcpListener::from_std(socket).unwrap();
        tokio::spawn(refuse_first(listener));
        let (plain, _server) = house.serve(&format!("h2c://{address}"), "");
        let mut sender = client(plain).await;
        // None that might be repeated otherwise, and its body goes along.
        let sent = Some(Bytes::from_static(b"payload"));
        let (status, body, _) = ask(&mut sender, "POST", "/", sent, None).await;
        assert_eq!((status, &body[..]), (200, &b"payload"[..]));
    });
}

/// Refuses the first stream of each odd connection, and says GOAWAY.
async fn refuse_first(listener: TcpListener) {
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        let first = number == 1;
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                if first {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                    connection.graceful_shutdown();
                    continue;
                }
                tokio::spawn(async move {
                    let whole = request.into_body().data().await.unwrap().unwrap();
                    let response = http::Response::new(());
                    let mut stream = respond.send_response(response, false).unwrap();
                    stream.send_data(whole, true).unwrap();
                });
            }
        });
    }
}

async fn client(address: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let stream = Endpoint::plain(address).connect().await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

async fn ask(
    sender: &mut h2::client::SendRequest<Bytes>,
    method: &str,
    path: &str,
    body: Option<Bytes>,
    trailers: Option<HeaderMap>,
) -> (u16, Vec<u8>, Option<HeaderMap>) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{HOST}{path}"))
        .header("te", "trailers")
        .header("trailer", "x-check")
        .body(())
        .unwrap();
    let exchange = async {
        let end = body.is_none() && trailers.is_none();
        let (response, mut stream) = sender.send_request(request, end).unwrap();
        if let Some(body) = body {
            stream.send_data(body, trailers.is_none()).unwrap();
        }
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers).unwrap();
        }
        let response = response.await.unwrap();
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut whole = Vec::new();
        while let Some(part) = body.data().await {
            let part = part.unwrap();
            body.flow_control().release_capacity(part.len()).unwrap();
            whole.extend_from_slice(&part);
        }
        (status, whole, body.trailers().await.unwrap())
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .expect("in time")
}

/// All that comes back on a connection.
fn raw(address: SocketAddr, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
