//! Interim responses of an upstream (103 Early Hints) reach the client before the final one does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::storm::tls;
use crate::client::transport::Endpoint;
use crate::harness::bws::Bws;
use crate::harness::certificates::Authority;
use crate::harness::demo::HOST;
use crate::harness::switching::read_head;
use crate::harness::{PATIENCE, listener, runtime, wait_for};

const HINT: &str =
    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\nX: 1\r\n\r\n";
/// As it arrives.
const HINTED: &str =
    "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nvia: 1.1 bws\r\n\r\n";
const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

struct House {
    server: Bws,
    plain: SocketAddr,
    secure: SocketAddr,
    authority: Authority,
    config: String,
    /// Lets the upstream go on.
    go: Sender<()>,
    folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let pair = authority.issue(folder.path(), "site", &[HOST]);
    let (upstream, go) = upstream();
    let (plain, secure) = (listener(), listener());
    let proxy =
        format!("[sites.proxy]\nupstreams = [{{ name = \"up\", url = \"http://{upstream}\" }}]\n");
    let config = format!(
        "[performance]\nworker_threads = 1\n[logging]\nlog_requests = true\naccess_log = \"access.log\"\n\
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
        server,
        plain: plain.1,
        secure: secure.1,
        authority,
        config,
        go,
        folder,
    }
}

/// `/wait` is hinted at, and answered when the test says so; in between comes another hint with `/wait/again`. `/now` is
/// hinted at and answered in one breath, as is `/switch`; `/upload` is hinted at before and after its 100, and
/// `/endless` without end.
fn upstream() -> (SocketAddr, Sender<()>) {
    let (listener, address) = listener();
    let (go, gone) = channel();
    let gone = Arc::new(Mutex::new(gone));
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let gone = gone.clone();
            std::thread::spawn(move || {
                // How a connection ends is seen at the other end.
                let _ = talk(stream, &gone);
            });
        }
    });
    (address, go)
}

fn talk(mut stream: TcpStream, gone: &Mutex<Receiver<()>>) -> std::io::Result<()> {
    let wait = || gone.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    stream.set_nodelay(true)?;
    loop {
        let head = read_head(&mut stream)?;
        match head.split(' ').nth(1).unwrap_or_default() {
            "/wait" => {
                stream.write_all(HINT.as_bytes())?;
                wait();
                stream.write_all(FINAL.as_bytes())?;
            }
            "/wait/again" => {
                for _ in 0..2 {
                    stream.write_all(HINT.as_bytes())?;
                    wait();
                }
                stream.write_all(FINAL.as_bytes())?;
            }
            "/endless" => loop {
                stream.write_all(HINT.as_bytes())?;
            },
            "/switch" => {
                stream.write_all(format!("{HINT}{SWITCHING}hello").as_bytes())?;
                std::io::copy(&mut stream.try_clone()?, &mut stream)?;
            }
            "/upload" => {
                stream.write_all(format!("{HINT}{CONTINUE}").as_bytes())?;
                stream.read_exact(&mut [0; 4])?;
                stream.write_all(format!("{HINT}{FINAL}").as_bytes())?;
            }
            "/now" => stream.write_all(format!("{HINT}{FINAL}").as_bytes())?,
            _ => stream.write_all(FINAL.as_bytes())?,
        }
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A final response without its body.
fn expect_final(stream: &mut impl Read) -> String {
    let head = read_head(stream).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let mut body = [0; 2];
    stream.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"ok");
    head
}

#[test]
fn hints_do_not_wait_for_the_response() {
    let house = house();
    runtime().block_on(async {
        let mut secure = Endpoint::plain(house.secure);
        secure.tls = Some(tls(&house.authority.der(), HOST, b"http/1.1"));
        for endpoint in [Endpoint::plain(house.plain), secure] {
            let mut stream = endpoint.connect().await.unwrap();
            for _ in 0..3 {
                stream.write_all(request("/wait").as_bytes()).await.unwrap();
                let mut hint = vec![0; HINTED.len()];
                let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut hint));
                read.await.expect("in time").unwrap();
                assert_eq!(String::from_utf8(hint).unwrap(), HINTED);
                house.go.send(()).unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\nok") {
                    let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer));
                    assert_ne!(read.await.expect("in time").unwrap(), 0);
                }
                assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
            }
        }
    });
    // The last word counts.
    let log = wait_for("the access log", || {
        let log = std::fs::read_to_string(house.folder.path().join("access.log")).ok()?;
        (log.lines().count() == 6).then_some(log)
    });
    assert_eq!(log.matches("\"GET /wait HTTP/1.1\" 200 2 ").count(), 6);
}

#[test]
fn curl_sees_them() {
    let house = house();
    for (scheme, address) in [("http", house.plain), ("https", house.secure)] {
        let target = format!("{scheme}://{HOST}:{}/now", address.port());
        let said = Command::new("curl")
            .args(["-sSk", "--noproxy", "*", "--http1.1", "-D", "-"])
            .args([&*target, &*target])
            .output()
            .expect("curl can be started");
        let text = String::from_utf8_lossy(&said.stdout);
        assert_eq!(text.matches(HINTED).count(), 2, "{text}");
        let parts: Vec<_> = text.split(HINTED).collect();
        assert_eq!(parts[0], "", "{text}");
        for part in &parts[1..] {
            assert!(part.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
            assert!(part.ends_with("\r\n\r\nok"), "{text}");
        }
    }
}

/// The next interim response, or None when the final one is there.
async fn hint(response: &mut h2::client::ResponseFuture) -> Option<http::Response<()>> {
    let hint = std::future::poll_fn(|context| response.poll_informational(context));
    let hint = tokio::time::timeout(PATIENCE, hint).await.expect("in time");
    hint.map(|hint| hint.unwrap())
}

#[test]
fn over_http2_they_do_not_wait_either() {
    let house = house();
    runtime().block_on(async {
        let mut secure = Endpoint::plain(house.secure);
        secure.tls = Some(tls(&house.authority.der(), HOST, b"h2"));
        for endpoint in [Endpoint::plain(house.plain), secure] {
            let stream = endpoint.connect().await.unwrap();
            let (sender, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            for (path, hints) in [("/wait", 1), ("/wait/again", 2)] {
                let mut sender = sender.clone().ready().await.unwrap();
                let request = http::Request::get(format!("http://{HOST}{path}"));
                let (mut response, _) = sender
                    .send_request(request.body(()).unwrap(), true)
                    .unwrap();
                for _ in 0..hints {
                    let hint = hint(&mut response).await.expect("a hint");
                    assert_eq!(hint.status(), 103);
                    assert_eq!(hint.headers()["link"], "</a.css>; rel=preload");
                    assert!(!hint.headers().contains_key("x"));
                    house.go.send(()).unwrap();
                }
                let response = tokio::time::timeout(PATIENCE, response)
                    .await
                    .expect("in time");
                assert_eq!(response.unwrap().status(), 200);
            }
        }
    });
}

#[test]
fn who_resets_a_stream_after_a_hint_harms_nobody() {
    let house = house();
    runtime().block_on(async {
        let stream = Endpoint::plain(house.plain).connect().await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        for path in ["/endless", "/wait", "/now"] {
            let mut sender = sender.clone().ready().await.unwrap();
            let request = http::Request::get(format!("http://{HOST}{path}"));
            let (mut response, mut stream) = sender
                .send_request(request.body(()).unwrap(), true)
                .unwrap();
            assert_eq!(hint(&mut response).await.expect("a hint").status(), 103);
            if path == "/now" {
                assert_eq!(response.await.unwrap().status(), 200);
            } else {
                stream.send_reset(h2::Reason::CANCEL);
            }
        }
    });
}

#[test]
fn curl_sees_them_over_http2() {
    let house = house();
    for (scheme, address, how) in [
        ("http", house.plain, "--http2-prior-knowledge"),
        ("https", house.secure, "--http2"),
    ] {
        let target = format!("{scheme}://{HOST}:{}/now", address.port());
        let said = Command::new("curl")
            .args(["-sSk", "--noproxy", "*", how, "-D", "-"])
            .arg(&*target)
            .output()
            .expect("curl can be started");
        let text = String::from_utf8_lossy(&said.stdout);
        let heads: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("HTTP/2 "))
            .collect();
        assert_eq!(heads, ["HTTP/2 103 ", "HTTP/2 200 "], "{text}");
        let hints = text.matches("link: </a.css>; rel=preload\r\n");
        assert_eq!(hints.count(), 1, "{text}");
        assert!(text.ends_with("\r\n\r\nok"), "{text}");
    }
}

#[test]
fn requests_sent_at_once_have_their_hints_in_order() {
    let house = house();
    let mut stream = connect(house.plain);
    let requests = [request("/now"), request("/"), request("/now")].concat();
    stream.write_all(requests.repeat(20).as_bytes()).unwrap();
    // One byte at a time.
    for _ in 0..20 {
        assert_eq!(read_head(&mut stream).unwrap(), HINTED);
        expect_final(&mut stream);
        expect_final(&mut stream);
        assert_eq!(read_head(&mut stream).unwrap(), HINTED);
        expect_final(&mut stream);
    }
}

#[test]
fn hints_go_on_through_a_reload() {
    let house = house();
    let mut stream = connect(house.plain);
    stream.write_all(request("/wait/again").as_bytes()).unwrap();
    assert_eq!(read_head(&mut stream).unwrap(), HINTED);
    let name = "name = \"plain\"";
    let headers = format!("{name}\nheaders = {{ X-New = \"1\" }}");
    house
        .server
        .reload_to(&house.config.replace(name, &headers));
    house.go.send(()).unwrap();
    assert_eq!(read_head(&mut stream).unwrap(), HINTED);
    house.go.send(()).unwrap();
    assert!(!expect_final(&mut stream).contains("x-new"));
    // The connection goes to the new generation, as soon as the old worker knows of it.
    wait_for("the new generation", || {
        stream.write_all(request("/now").as_bytes()).unwrap();
        assert_eq!(read_head(&mut stream).unwrap(), HINTED);
        let head = expect_final(&mut stream);
        head.contains("x-new: 1\r\n").then_some(())
    });
}

#[test]
fn hints_stand_before_a_tunnel_and_around_a_100() {
    let house = house();
    let mut stream = connect(house.plain);
    let head = format!("Host: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let upload = format!("POST /upload HTTP/1.1\r\n{head}");
    for _ in 0..2 {
        stream.write_all(upload.as_bytes()).unwrap();
        assert_eq!(read_head(&mut stream).unwrap(), HINTED);
        assert_eq!(read_head(&mut stream).unwrap(), CONTINUE);
        stream.write_all(b"body").unwrap();
        assert_eq!(read_head(&mut stream).unwrap(), HINTED);
        expect_final(&mut stream);
    }
    let switch = format!(
        "GET /switch HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly"
    );
    stream.write_all(switch.as_bytes()).unwrap();
    assert_eq!(read_head(&mut stream).unwrap(), HINTED);
    let head = read_head(&mut stream).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut bytes = [0; 10];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"helloearly");
}

#[test]
fn who_does_not_know_them_gets_none() {
    let house = house();
    let mut stream = connect(house.plain);
    let old = format!("GET /now HTTP/1.0\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(old.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("103"), "{answer}");
}

#[test]
fn hints_without_end_come_to_one() {
    let house = house();
    let mut stream = connect(house.plain);
    stream.write_all(request("/endless").as_bytes()).unwrap();
    let mut hints = 0;
    let last = loop {
        let head = read_head(&mut stream).unwrap();
        if head != HINTED {
            break head;
        }
        hints += 1;
    };
    assert!(last.starts_with("HTTP/1.1 502 "), "{last}");
    assert_eq!(hints, 16);
}
