//! Clients that hold a connection and hardly use it: shed by the configured times, while nobody else notices; and those
//! that only look alike: left alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, listener, wait_for};
use crate::http2_wire::frames::{self, Frame};

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

/// A connection over HTTP/2.
struct Http2 {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Http2 {
    fn open(demo: &Demo, settings: &[(u16, u32)]) -> Self {
        let (stream, came) = (connect(demo), Vec::new());
        let mut connection = Self { stream, came };
        connection.send(&frames::hello(settings));
        connection
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = Frame::take(&mut self.came) {
                assert!(!frame.is(frames::GOAWAY), "{frame:?}");
                return frame;
            }
            let mut space = [0; 16 * 1024];
            let count = self.stream.read(&mut space).unwrap();
            assert!(count > 0, "the connection ended");
            self.came.extend_from_slice(&space[..count]);
        }
    }

    /// Skips what comes before.
    fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.frame();
            if wanted(&frame) {
                return frame;
            }
        }
    }

    fn reset_of(&mut self, stream: u32) -> u32 {
        let reset = self.find(|frame| frame.is(frames::RST_STREAM) && frame.stream == stream);
        reset.word(0)
    }

    /// Small requests on `next` and later streams, until `wanted` comes.
    fn busy_until(&mut self, next: u32, wanted: impl Fn(&Frame) -> bool) -> (Frame, u32) {
        let (begun, mut next) = (Instant::now(), next);
        loop {
            assert!(begun.elapsed() < PATIENCE, "the server put up with it");
            self.send(&frames::get(next, "/small.bin"));
            loop {
                let frame = self.frame();
                if wanted(&frame) {
                    return (frame, next + 2);
                }
                if frame.stream == next && frame.flags & frames::END_STREAM != 0 {
                    break;
                }
            }
            self.send(&frames::window_update(0, 64 * 1024));
            std::thread::sleep(PAUSE);
            next += 2;
        }
    }

    /// Asks for something small.
    fn check(&mut self, stream: u32) {
        self.send(&frames::get(stream, "/small.bin"));
        let head = self.find(|frame| frame.is(frames::HEADERS) && frame.stream == stream);
        assert_eq!(head.status(), Some(200));
    }
}

const CANCEL: u32 = 8;

/// The head of a POST that is answered when all of it has come.
fn upload(stream: u32, length: &str) -> Vec<u8> {
    let mut post = frames::POST;
    post[2].1 = "/echo/count";
    let length = [("content-length", length)];
    frames::headers(0, stream, &[&post[..], &length].concat())
}

#[test]
fn windows_of_nothing_end_each_stream() {
    let (demo, server) = serve();
    let mut client = Http2::open(&demo, &[(4, 0)]);
    let streams: Vec<u32> = (0..100).map(|index| 2 * index + 1).collect();
    for stream in &streams {
        client.send(&frames::get(*stream, "/large.bin"));
    }
    let mut ended = Vec::new();
    while ended.len() < streams.len() {
        let reset = client.find(|frame| frame.is(frames::RST_STREAM));
        assert_eq!(reset.word(0), CANCEL);
        ended.push(reset.stream);
    }
    ended.sort_unstable();
    assert_eq!(ended, streams);
    // The connection is none the worse for it.
    client.check(201);
    assert!(open(&server) >= 1.0);
    assert_eq!(server.metric(SHED), 0.0);
}

#[test]
fn the_end_of_a_response_is_waited_for_as_well() {
    let (demo, _server) = serve();
    let mut client = Http2::open(&demo, &[(4, 10)]);
    client.send(&frames::get(1, "/small.bin"));
    client.send(&frames::get(3, "/echo/bytes/100"));
    client.send(&frames::get(5, "/echo/hang"));
    let mut ended = [1, 3].map(|_| client.find(|frame| frame.is(frames::RST_STREAM)).stream);
    ended.sort_unstable();
    assert_eq!(ended, [1, 3]);
    client.check(7);
}

#[test]
fn a_stalled_upload_ends_alone() {
    let (demo, _server) = serve();
    let mut client = Http2::open(&demo, &[]);
    client.send(&upload(1, "10"));
    client.send(&frames::data(0, 1, b"abc"));
    client.send(&frames::get(3, "/echo/hang"));
    let head = client.find(|frame| frame.is(frames::HEADERS));
    assert_eq!((head.stream, head.status()), (1, Some(408)));
    assert!(head.flags & frames::END_STREAM != 0);
    // No more of the body is wanted (RFC 9113 section 8.1).
    assert_eq!(client.reset_of(1), 0);
    client.check(5);
    client.send(&frames::frame(frames::PING, 0, 0, b"12345678"));
    client.find(|frame| frame.is(frames::PING));
}

#[test]
fn a_busy_upload_does_not_hide_a_stalled_one() {
    let (demo, _server) = serve();
    let mut client = Http2::open(&demo, &[]);
    for stream in [1, 3] {
        client.send(&upload(stream, "1000000"));
    }
    client.stream.set_read_timeout(Some(PAUSE)).unwrap();
    let begun = Instant::now();
    let head = loop {
        assert!(begun.elapsed() < PATIENCE, "the server put up with it");
        client.send(&frames::data(0, 3, &[b'x'; 1000]));
        let mut space = [0; 4096];
        let count = client.stream.read(&mut space).unwrap_or_default();
        client.came.extend_from_slice(&space[..count]);
        let mut came = std::iter::from_fn(|| Frame::take(&mut client.came));
        if let Some(head) = came.find(|frame| frame.is(frames::HEADERS)) {
            break head;
        }
    };
    assert_eq!((head.stream, head.status()), (1, Some(408)));
}

#[test]
fn a_stalled_download_ends_alone() {
    let (demo, _server) = serve();
    let mut client = Http2::open(&demo, &[]);
    client.send(&frames::window_update(0, 1 << 20));
    client.send(&frames::get(1, "/large.bin"));
    client.send(&frames::get(3, "/echo/hang"));
    let (reset, next) = client.busy_until(5, |frame| frame.is(frames::RST_STREAM));
    assert_eq!((reset.stream, reset.word(0)), (1, CANCEL));
    client.check(next);
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
