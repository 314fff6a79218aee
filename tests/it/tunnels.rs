//! Connections that leave HTTP: how they are asked for, go on through reloads, and end.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::harness::bws::{Bws, binary};
use crate::harness::demo::HOST;
use crate::harness::switching::{Switching, field, read_head};
use crate::harness::{PATIENCE, free_address, install, install_copy, listener, wait_for};

struct House {
    upstream: Switching,
    server: Bws,
    plain: SocketAddr,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self::with("", "")
    }

    fn with(global: &str, proxy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Switching::start();
        let (socket, plain) = listener();
        let config = config(plain, upstream.address, global, proxy);
        let server = Bws::start(folder.path(), &config, vec![socket]);
        Self {
            upstream,
            server,
            plain,
            _folder: folder,
        }
    }

    /// The same tunnels, and something else that is new.
    fn reload(&self, number: usize, global: &str) {
        let header = format!("[security.security_headers]\nX-Number = \"{number}\"\n{global}");
        let text = config(self.plain, self.upstream.address, &header, "");
        self.server.reload_to(&text);
    }
}

fn config(plain: SocketAddr, upstream: SocketAddr, global: &str, proxy: &str) -> String {
    format!(
        r#"
[performance]
worker_threads = 2
{global}
[[sites]]
name = "tunnels"
hostname = "{HOST}"
listen = "{plain}"

[sites.proxy]
upstreams = [{{ name = "up", url = "http://{upstream}" }}, {{ name = "down", url = "http://{down}" }}]
routes = [
    {{ path = "/", upstream = "up" }},
    {{ path = "/no/", upstream = "up", websocket = false }},
    {{ path = "/down/", upstream = "down" }},
]
{proxy}
"#,
        down = free_address(),
    )
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n{more}\r\n"
    )
}

/// A tunnel, its greeting heard.
fn tunnel(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(request("/switch", "").as_bytes()).unwrap();
    let head = read_head(&mut stream).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    expect(&mut stream, b"hello");
    stream
}

fn expect(stream: &mut TcpStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    stream.read_exact(&mut seen).unwrap();
    assert!(seen == expected, "{:?}", String::from_utf8_lossy(&seen));
}

fn expect_echo(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    expect(stream, bytes);
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    read_head(&mut stream).unwrap()
}

#[test]
fn both_sides_speak_and_shut_their_halves() {
    let house = House::new();
    let mut stream = connect(house.plain);
    // What follows the request at once is for the upstream, too.
    let early = request("/switch", "Origin: http://a\r\n") + "early";
    stream.write_all(early.as_bytes()).unwrap();
    let head = read_head(&mut stream).unwrap();
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    assert_eq!(field(&head, "connection"), Some("upgrade"));
    assert_eq!(field(&head, "x-from"), Some("upstream"));
    expect(&mut stream, b"helloearly");
    let block: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = block.clone();
    let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
    expect(&mut stream, &block);
    writing.join().unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"bye");
    let seen = &house.upstream.heads()[0];
    assert_eq!(field(seen, "connection"), Some("upgrade"));
    assert_eq!(field(seen, "upgrade"), Some("websocket"));
    assert_eq!(field(seen, "origin"), Some("http://a"));
}

#[test]
fn what_is_declined_stays_http() {
    let house = House::new();
    let mut stream = connect(house.plain);
    // After a fake upgrade the next bytes are a request, and are judged as one.
    let two = request("/decline", "") + &request("/second/decline", "");
    stream.write_all(two.as_bytes()).unwrap();
    for _ in 0..2 {
        let head = read_head(&mut stream).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        expect(&mut stream, b"no");
    }
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        .unwrap();
    assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 400 "));
    assert_eq!(house.upstream.heads().len(), 2);
}

#[test]
fn a_declined_upgrade_is_followed_by_a_parked_connection() {
    let house = House::new();
    let mut stream = connect(house.plain);
    stream
        .write_all(request("/decline", "").as_bytes())
        .unwrap();
    read_head(&mut stream).unwrap();
    expect(&mut stream, b"no");
    wait_for("parking", || {
        let metrics = house.server.metrics();
        metrics
            .iter()
            .any(|(name, value)| name.contains("parked") && *value > 0.0)
            .then_some(())
    });
    stream.write_all(request("/switch", "").as_bytes()).unwrap();
    assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 101 "));
    expect(&mut stream, b"hello");
}

#[test]
fn only_what_was_asked_for_and_allowed_is_switched_to() {
    let house = House::new();
    let status = |request: &str| exchange(house.plain, request)[9..12].to_owned();
    assert_eq!(status(&request("/other", "")), "502");
    assert_eq!(status(&request("/no/switch", "")), "403");
    assert_eq!(status(&request("/down/switch", "")), "502");
    // Neither HTTP/1.0, nor with a body, nor what concerns this hop alone.
    let old = request("/switch", "").replace("HTTP/1.1", "HTTP/1.0");
    let body = request("/decline", "Content-Length: 2\r\n") + "ab";
    let h2c = request("/decline", "").replace("websocket", "h2c");
    let not_listed = request("/decline", "").replace("keep-alive, Upgrade", "keep-alive");
    for ignored in [&old.replace("switch", "decline"), &body, &h2c, &not_listed] {
        assert_eq!(status(ignored), "200", "{ignored}");
        let seen = house.upstream.heads().pop().unwrap();
        assert_eq!(field(&seen, "upgrade"), None, "{seen}");
    }
    let several = request("/switch", "").replace("websocket", "h2c, chat/2");
    let head = exchange(house.plain, &several);
    assert_eq!(field(&head, "upgrade"), Some("chat/2"));
}

#[test]
fn tunnels_travel_through_reloads() {
    let house = House::new();
    let mut tunnels: Vec<TcpStream> = (0..40).map(|_| tunnel(house.plain)).collect();
    let open = || house.server.metric("bws_tunnels_open");
    assert_eq!(open(), 40.0);
    for round in 1..=4 {
        // Some are in the midst of something.
        for tunnel in tunnels.iter_mut().step_by(3) {
            tunnel.write_all(b"under way").unwrap();
        }
        house.reload(round, "");
        for (at, tunnel) in tunnels.iter_mut().enumerate() {
            if at % 3 == 0 {
                expect(tunnel, b"under way");
            }
            expect_echo(tunnel, format!("{at} in {round}").as_bytes());
        }
        wait_for("the old workers' end", || {
            (house.server.workers().len() == 1).then_some(())
        });
        // A worker counts what it has got with its next look around.
        wait_for("all tunnels to be counted", || {
            (open() == 40.0).then_some(())
        });
    }
    for tunnel in &mut tunnels {
        tunnel.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        tunnel.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"bye");
    }
}

#[test]
fn tunnels_travel_into_a_new_binary() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Switching::start();
    let (socket, plain) = listener();
    let program = folder.path().join("bws");
    install_copy(&binary(), &program);
    let config = config(plain, upstream.address, "", "");
    let server = Bws::start_binary(&program, folder.path(), &config, vec![socket]);
    let mut tunnels: Vec<TcpStream> = (0..20).map(|_| tunnel(plain)).collect();
    let mut content = std::fs::read(&program).unwrap();
    for round in 1..=2 {
        for tunnel in tunnels.iter_mut().step_by(3) {
            tunnel.write_all(b"under way").unwrap();
        }
        content.push(0);
        install(&program, &content, 0o755);
        assert!(server.reload().status.success());
        for (at, tunnel) in tunnels.iter_mut().enumerate() {
            if at % 3 == 0 {
                expect(tunnel, b"under way");
            }
            expect_echo(tunnel, format!("{at} in {round}").as_bytes());
        }
        wait_for("the old workers' end", || {
            (server.workers().len() == 1).then_some(())
        });
    }
    assert_eq!(server.process.output().matches("has taken over").count(), 2);
}

#[test]
fn what_a_slow_reader_has_not_read_travels_along() {
    let house = House::new();
    let mut stream = tunnel(house.plain);
    let block: Vec<u8> = (0..8_000_000_u32).map(|at| (at % 241) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = block.clone();
    let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
    for round in 1..=3 {
        house.reload(round, "");
    }
    expect(&mut stream, &block);
    writing.join().unwrap();
}

#[test]
fn a_silent_tunnel_is_closed() {
    let house = House::with("", "timeout = { tunnel = \"1s\" }");
    let mut stream = tunnel(house.plain);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    // "hello" is the head of a frame, so no frame of ours could follow.
    assert_eq!(rest, b"");
    let mut polite = connect(house.plain);
    // A text frame, whole.
    polite
        .write_all(request("/greet", "X-Say: 81026f6b\r\n").as_bytes())
        .unwrap();
    read_head(&mut polite).unwrap();
    polite.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0x81, 2, b'o', b'k', 0x88, 2, 0x03, 0xe9]);
}
