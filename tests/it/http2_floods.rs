//! Floods over HTTP/2 (RFC 9113 section 10.5): each ends in GOAWAY, while another client is served by the same thread and no
//! worker dies. How long others wait meanwhile tests/bench/floods measures.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{self, PATIENCE, listener};
use crate::http2_wire::frames::{self, *};
use crate::http2_wire::{ENHANCE_YOUR_CALM, PROTOCOL_ERROR};

/// More than any credit; a server that puts up with it reads some megabytes.
const ROUNDS: u32 = 20_000;

fn serve() -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let config = demo
        .bws(0)
        .replace("worker_threads = 2", "worker_threads = 1");
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    (demo, server)
}

/// The code of the GOAWAY that ends `first` and as much of `round` as the server reads; None when there is none.
fn flood(address: SocketAddr, first: &[u8], round: impl Fn(u32) -> Vec<u8> + Send) -> Option<u32> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(&[&frames::hello(&[]), first].concat())
        .unwrap();
    let mut answers = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for start in (0..ROUNDS).step_by(100) {
                let bytes: Vec<u8> = (start..start + 100).flat_map(&round).collect();
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            let _ = stream.shutdown(Shutdown::Write);
        });
        let (mut bytes, mut code) = (Vec::new(), None);
        let mut space = [0; 65536];
        while let Ok(count @ 1..) = answers.read(&mut space) {
            bytes.extend_from_slice(&space[..count]);
            while let Some(frame) = Frame::take(&mut bytes) {
                if frame.is(GOAWAY) {
                    code = Some(frame.word(4));
                }
            }
        }
        code
    })
}

fn id(round: u32) -> u32 {
    2 * round + 1
}

type Round = Box<dyn Fn(u32) -> Vec<u8> + Send>;

struct Flood {
    name: &'static str,
    /// Once, and then for ever.
    first: Vec<u8>,
    round: Round,
    /// PROTOCOL_ERROR will do as well.
    strict: bool,
}

fn flood_of(
    name: &'static str,
    first: &[u8],
    round: impl Fn(u32) -> Vec<u8> + Send + 'static,
) -> Flood {
    Flood {
        name,
        first: first.to_vec(),
        round: Box::new(round),
        strict: true,
    }
}

/// The same frame again and again.
fn always(name: &'static str, first: &[u8], bytes: Vec<u8>) -> Flood {
    flood_of(name, first, move |_| bytes.clone())
}

fn resets() -> Vec<Flood> {
    let by_window = flood_of("made you reset by a window", b"", |n| {
        [get_large(n), window_update(id(n), 0)].concat()
    });
    vec![
        flood_of("rapid reset", b"", |n| {
            [get_large(n), reset(id(n), 8)].concat()
        }),
        Flood {
            strict: false,
            ..by_window
        },
        flood_of("made you reset by malformed requests", b"", |n| {
            get_with(id(n), &[("te", "x")])
        }),
        flood_of("made you reset by empty blocks", b"", |n| {
            frame(HEADERS, 5, id(n), b"")
        }),
    ]
}

fn blocks() -> Vec<Flood> {
    let open = frame(HEADERS, 0, 1, b"");
    let full = frame(CONTINUATION, 0, 1, &block(&[("x", &"y".repeat(100))]));
    let value = [
        &[0x40, 1, b'x'][..],
        &frames::number(0, 7, 4000),
        &[b'y'; 4000],
    ]
    .concat();
    let bomb = [block(&GET), value, vec![0xbe; 9000]].concat();
    vec![
        always("continuation", &open, frame(CONTINUATION, 0, 1, b"")),
        always("full continuation", &open, full),
        flood_of("header lists that grow", b"", move |n| {
            frame(HEADERS, 5, id(n), &bomb)
        }),
    ]
}

fn control_frames() -> Vec<Flood> {
    vec![
        always("settings", b"", settings(&[])),
        always("many settings at once", b"", settings(&[(4, 65535); 100])),
        always("ping", b"", frame(PING, 0, 0, b"12345678")),
        always("answers to no ping", b"", frame(PING, ACK, 0, b"12345678")),
        always("priority", b"", priority(3, 1)),
        always("window updates", b"", window_update(0, 1)),
        always("empty data", &post(1, &[]), data(0, 1, b"")),
        always("unknown frames", b"", frame(0xfa, 0, 0, b"")),
    ]
}

#[test]
fn every_flood_ends_and_nobody_else_notices() {
    let (demo, server) = serve();
    let before = server.workers();
    let mut calmed = 0;
    for Flood {
        name,
        first,
        round,
        strict,
    } in [resets(), blocks(), control_frames()].into_iter().flatten()
    {
        let code = flood(demo.plain, &first, round);
        let right = code == Some(ENHANCE_YOUR_CALM) || (!strict && code == Some(PROTOCOL_ERROR));
        assert!(right, "{name}: GOAWAY of {code:?}");
        calmed += u32::from(code == Some(ENHANCE_YOUR_CALM));
        assert_eq!(
            harness::get(demo.plain, HOST, "/small.bin").0.status,
            200,
            "{name}"
        );
    }
    assert_eq!(server.workers(), before, "{}", server.process.output());
    let shed = server.metric(r#"bws_connections_shed_total{reason="flood"}"#);
    assert_eq!(shed, f64::from(calmed));
}

fn get_large(round: u32) -> Vec<u8> {
    frames::get(id(round), "/large.bin")
}

/// Files that were asked for and are not taken wait in little memory.
#[test]
fn windows_of_nothing_cost_little() {
    let (demo, server) = serve();
    let worker = server.workers()[0];
    let memory = || harness::process::memory(worker);
    let before = memory();
    let requests: Vec<u8> = (0..100).flat_map(get_large).collect();
    let clients: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(demo.plain).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mark = frame(PING, 0, 0, b"the mark");
            stream
                .write_all(&[frames::hello(&[(4, 0)]), requests.clone(), mark].concat())
                .unwrap();
            let (mut bytes, mut heads) = (Vec::new(), 0);
            while heads < 100 {
                let mut space = [0; 65536];
                let count = stream.read(&mut space).unwrap();
                assert!(count > 0);
                bytes.extend_from_slice(&space[..count]);
                while let Some(frame) = Frame::take(&mut bytes) {
                    heads += u32::from(frame.is(HEADERS));
                }
            }
            stream
        })
        .collect();
    let each = memory().saturating_sub(before) / 2000;
    assert!(each < 32 * 1024, "{each} bytes for each stream");
    assert_eq!(harness::get(demo.plain, HOST, "/small.bin").0.status, 200);
    drop(clients);
}
