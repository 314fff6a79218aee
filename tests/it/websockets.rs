//! WebSockets over what cannot travel to a new worker: TLS, and streams of HTTP/2 (RFC 8441).

mod upstreams;

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::storm::tls;
use crate::client::transport::{Endpoint, Transport};
use crate::harness::bws::Bws;
use crate::harness::certificates::Authority;
use crate::harness::demo::HOST;
use crate::harness::switching::{Switching, field};
use crate::harness::{PATIENCE, listener, runtime};

struct House {
    upstream: Switching,
    server: Bws,
    plain: SocketAddr,
    secure: SocketAddr,
    authority: Authority,
    config: String,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    house_that_drains("2s")
}

fn house_that_drains(shutdown_timeout: &str) -> House {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let pair = authority.issue(folder.path(), "site", &[HOST]);
    let upstream = Switching::start();
    let (plain, secure) = (listener(), listener());
    let proxy = format!(
        "[sites.proxy]\nupstreams = [{{ name = \"up\", url = \"http://{}\" }}]\n\
         routes = [{{ path = \"/\", upstream = \"up\" }}, {{ path = \"/no\", upstream = \"up\", websocket = false }}]\n",
        upstream.address
    );
    let config = format!(
        "[server]\nshutdown_timeout = \"{shutdown_timeout}\"\n\
         [[sites]]\nname = \"plain\"\nhostname = \"{HOST}\"\nlisten = \"{}\"\n{proxy}\
         [[sites]]\nname = \"secure\"\nhostname = \"{HOST}\"\nlisten = \"{}\"\n{proxy}\
         [sites.ssl]\nenabled = true\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
        plain.1,
        secure.1,
        pair.cert_file.display(),
        pair.key_file.display(),
    );
    let server = Bws::start(folder.path(), &config, vec![plain.0, secure.0]);
    House {
        upstream,
        server,
        plain: plain.1,
        secure: secure.1,
        authority,
        config,
        _folder: folder,
    }
}

/// A text frame.
const OK: &[u8] = &[0x81, 2, b'o', b'k'];
/// "Going Away".
const GOODBYE: &[u8] = &[0x88, 2, 0x03, 0xe9];
/// What makes the upstream say [`OK`].
const SAY_OK: &str = "81026f6b";

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

async fn sender(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = Endpoint::plain(address).connect().await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    // The settings have to come first.
    in_time(async {
        while !sender.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
            sender = sender.clone().ready().await.unwrap();
        }
    })
    .await;
    sender
}

async fn ask(
    sender: &mut SendRequest<Bytes>,
    path: &str,
    protocol: &'static str,
) -> (Response<RecvStream>, SendStream<Bytes>) {
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://{HOST}{path}"))
        .header("sec-websocket-version", "13")
        .header("origin", "http://a")
        .header("x-say", SAY_OK)
        .extension(Protocol::from_static(protocol))
        .body(())
        .unwrap();
    let (response, stream) = sender.send_request(request, false).unwrap();
    (in_time(response).await.unwrap(), stream)
}

async fn read(body: &mut RecvStream, length: usize) -> Vec<u8> {
    let mut seen = Vec::new();
    while seen.len() < length {
        let Some(part) = in_time(body.data()).await else {
            break;
        };
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        seen.extend_from_slice(&part);
    }
    seen
}

#[test]
fn a_stream_of_http_2_becomes_an_upgrade() {
    let house = house();
    runtime().block_on(async {
        let mut sender = sender(house.plain).await;
        let (response, mut up) = ask(&mut sender, "/q%20/greet", "websocket").await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let mut down = response.into_body();
        assert_eq!(read(&mut down, 4).await, OK);
        // More than any window at once.
        let block = Bytes::from(vec![7; 700_000]);
        up.send_data(block.clone(), true).unwrap();
        assert!(read(&mut down, usize::MAX).await == block);
        let seen = &house.upstream.heads()[0];
        assert!(seen.starts_with("GET /q%20/greet HTTP/1.1\r\n"), "{seen}");
        assert_eq!(field(seen, "upgrade"), Some("websocket"));
        assert_eq!(field(seen, "connection"), Some("upgrade"));
        assert_eq!(field(seen, "origin"), Some("http://a"));
    });
}

#[test]
fn http_2_is_told_what_is_no_websocket() {
    let house = house();
    runtime().block_on(async {
        let mut sender = sender(house.plain).await;
        // An upstream that does not switch must not look like one that did.
        for (path, protocol, status) in [
            ("/decline", "websocket", 502),
            ("/other", "websocket", 502),
            ("/no/greet", "websocket", 403),
            ("/greet", "connect-udp", 501),
        ] {
            let (response, _) = ask(&mut sender, path, protocol).await;
            assert_eq!(response.status(), status, "{path} {protocol}");
        }
    });
}

/// A tunnel by HTTP/1.1 over TLS, its greeting heard.
async fn secure_tunnel(house: &House) -> Transport {
    let mut endpoint = Endpoint::plain(house.secure);
    endpoint.tls = Some(tls(&house.authority.der(), HOST, b"http/1.1"));
    let mut secure = endpoint.connect().await.unwrap();
    let request = format!(
        "GET /greet HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Say: {SAY_OK}\r\n\r\n"
    );
    secure.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(OK) {
        head.push(in_time(secure.read_u8()).await.unwrap());
    }
    secure
}

#[test]
fn what_cannot_travel_stays_and_is_told_goodbye_at_the_deadline() {
    let house = house();
    runtime().block_on(async {
        let mut secure = secure_tunnel(&house).await;
        let mut sender = sender(house.plain).await;
        let (response, _up) = ask(&mut sender, "/greet", "websocket").await;
        let mut down = response.into_body();
        assert_eq!(read(&mut down, 4).await, OK);
        house.server.reload_to(&(house.config.clone() + "\n"));
        secure.write_all(OK).await.unwrap();
        let mut rest = Vec::new();
        in_time(secure.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, [OK, GOODBYE].concat());
        assert_eq!(read(&mut down, usize::MAX).await, GOODBYE);
    });
}

#[test]
fn a_stop_does_not_wait_for_tunnels() {
    let house = house_that_drains("10m");
    runtime().block_on(async {
        let mut secure = secure_tunnel(&house).await;
        let mut sender = sender(house.plain).await;
        let (response, _up) = ask(&mut sender, "/greet", "websocket").await;
        let mut down = response.into_body();
        assert_eq!(read(&mut down, 4).await, OK);
        house.server.process.signal(Signal::TERM);
        let mut rest = Vec::new();
        in_time(secure.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, GOODBYE);
        assert_eq!(read(&mut down, usize::MAX).await, GOODBYE);
    });
    let House { mut server, .. } = house;
    assert!(server.process.wait().success());
}
