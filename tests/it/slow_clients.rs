//! Clients that hold a connection and hardly use it: shed by the configured times, while nobody else notices; and those
//! that only look alike: left alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, listener, wait_for};
use crate::http2_wire::frames;

/// Limits that a test can wait for.
const LIMITS: &str = "header_timeout = \"1s\"\nrequest_timeout = \"2s\"\nmin_rate = \"1KB\"\n";

/// More than any of these tests' clients wait in between.
const PAUSE: Duration = Duration::from_millis(100);

const SHED: &str = r#"bws_connections_shed_total{reason="slow"}"#;

fn serve() -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let config = demo
        .bws(0)
        .replacen("[performance]\n", &format!("[performance]\n{LIMITS}"), 1);
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    (demo, server)
}

fn connect(demo: &Demo) -> TcpStream {
    let stream = TcpStream::connect(demo.plain).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Connections that are open, as the server counts them.
fn open(server: &Bws) -> f64 {
    let metrics = server.metrics();
    let open = metrics
        .iter()
        .find(|(name, _)| name.starts_with("bws_connections_open"));
    open.expect("a gauge of open connections").1
}

/// Sends `piece` again and again until the server wants no more, and reads what it said.
fn drip(mut stream: TcpStream, piece: &[u8]) -> String {
    let begun = Instant::now();
    stream.set_read_timeout(Some(PAUSE)).unwrap();
    let mut said = Vec::new();
    while begun.elapsed() < PATIENCE {
        let mut space = [0; 4096];
        match stream.read(&mut space) {
            Ok(0) => return String::from_utf8_lossy(&said).into_owned(),
            Ok(count) => said.extend_from_slice(&space[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if stream.write_all(piece).is_err() {
                    return String::from_utf8_lossy(&said).into_owned();
                }
            }
            Err(_) => return String::from_utf8_lossy(&said).into_owned(),
        }
    }
    panic!("the server put up with it for {PATIENCE:?}");
}

#[test]
fn a_head_in_drops_is_answered_408() {
    let (demo, server) = serve();
    let mut stream = connect(&demo);
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let said = drip(stream, b"X: y\r\n");
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert_eq!(server.metric(SHED), 1.0);
}

#[test]
fn a_body_in_drops_is_answered_408() {
    let (demo, _server) = serve();
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut stream = connect(&demo);
        write!(
            stream,
            "POST /echo/count HTTP/1.1\r\nHost: {HOST}\r\n{framing}\r\n\r\n"
        )
        .unwrap();
        let said = drip(stream, b"1\r\nx\r\n");
        assert!(said.starts_with("HTTP/1.1 408 "), "{framing}: {said}");
    }
}

#[test]
fn a_response_that_is_not_taken_ends() {
    let (demo, server) = serve();
    let mut stream = connect(&demo);
    let request = format!("GET /echo/bytes/1000000000 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    wait_for("the request", || (open(&server) >= 1.0).then_some(()));
    // A few bytes now and then, far below the rate.
    let begun = Instant::now();
    while open(&server) > 0.0 {
        let taken = stream.read(&mut [0; 10]);
        std::thread::sleep(PAUSE);
        assert!(begun.elapsed() < PATIENCE, "the server put up with it");
        assert!(taken.is_ok() || open(&server) == 0.0);
    }
    // What the kernel had for it went as well: a reset, and no end after megabytes.
    let rest = stream.read_to_end(&mut Vec::new());
    assert_eq!(
        rest.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[test]
fn a_response_that_is_taken_slowly_but_steadily_goes_on() {
    let (demo, server) = serve();
    let mut stream = connect(&demo);
    let request = format!("GET /echo/bytes/1000000000 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // Far more than the rate, far less than the kernel's buffers: writes are seldom, acknowledgements are not.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        stream.read_exact(&mut [0; 16 * 1024]).unwrap();
        std::thread::sleep(PAUSE);
    }
    assert!(open(&server) >= 1.0);
}

#[test]
fn a_window_of_nothing_ends() {
    let (demo, server) = serve();
    let mut stream = connect(&demo);
    let requests: Vec<u8> = (0..100)
        .flat_map(|index| frames::get(2 * index + 1, "/large.bin"))
        .collect();
    stream
        .write_all(&[frames::hello(&[(4, 0)]), requests].concat())
        .unwrap();
    wait_for("the requests", || (open(&server) >= 1.0).then_some(()));
    // It is alive, and answers each PING; what it asked for it does not take.
    let said = drip(stream, &frames::frame(frames::PING, 0, 0, b"12345678"));
    assert!(!said.is_empty());
    wait_for("the end", || (open(&server) == 0.0).then_some(()));
    assert_eq!(server.metric(SHED), 1.0);
}

#[test]
fn a_header_block_in_drops_ends() {
    let (demo, _server) = serve();
    let mut stream = connect(&demo);
    let open_block = frames::frame(frames::HEADERS, 0, 1, b"");
    stream
        .write_all(&[frames::hello(&[]), open_block].concat())
        .unwrap();
    // Another request that goes on does not hide it.
    drip(stream, b"");
    let mut stream = connect(&demo);
    let hanging = frames::get(1, "/echo/hang");
    let head = frames::head(1000, frames::HEADERS, 0, 3);
    stream
        .write_all(&[frames::hello(&[]), hanging, head].concat())
        .unwrap();
    drip(stream, b"x");
}

#[test]
fn who_waits_for_us_is_left_alone() {
    let (demo, server) = serve();
    // Long polling over HTTP/1 and HTTP/2, and a stream both ways whose client says something now and then.
    let mut polling = connect(&demo);
    write!(polling, "GET /echo/hang HTTP/1.1\r\nHost: {HOST}\r\n\r\n").unwrap();
    let mut http2 = connect(&demo);
    let both_ways = [("te", "trailers"), ("content-type", "application/grpc")];
    let mut post = frames::POST;
    post[2].1 = "/echo/echo";
    let begin = frames::headers(0, 3, &[&post[..], &both_ways].concat());
    let requests = [
        frames::hello(&[]),
        frames::get(1, "/echo/hang"),
        begin,
        frames::data(0, 3, b"hello"),
    ];
    http2.write_all(&requests.concat()).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    assert!(open(&server) >= 2.0);
    http2
        .write_all(&frames::data(frames::END_STREAM, 3, b" again"))
        .unwrap();
    let mut bytes = Vec::new();
    let mut echo = Vec::new();
    while echo != b"hello again" {
        let mut space = [0; 4096];
        let count = http2.read(&mut space).unwrap();
        assert!(count > 0, "closed after {echo:?}");
        bytes.extend_from_slice(&space[..count]);
        while let Some(frame) = frames::Frame::take(&mut bytes) {
            if frame.is(frames::DATA) {
                echo.extend_from_slice(&frame.payload);
            }
        }
    }
}
