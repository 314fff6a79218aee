//! Connections, as they are on the wire: how they begin, go on, and end.

use std::time::Duration;

use http::Request;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;

use crate::client::http2::Connection;
use crate::client::storm::tls;
use crate::client::transport::{Endpoint, Idle, Transport};
use crate::client::wire::{Failure, Wire};
use crate::harness::backend::Backend;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, listener, runtime};

fn serve_with(performance: &str) -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(1, plain.1, secure.1);
    let config = demo.bws(0).replacen(
        "[performance]\n",
        &format!("[performance]\n{performance}\n"),
        1,
    );
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    (demo, server)
}

/// A conversation on one raw connection.
fn talk<T>(demo: &Demo, conversation: impl AsyncFnOnce(Wire<Transport>) -> T) -> T {
    runtime().block_on(async {
        let wire = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        tokio::time::timeout(PATIENCE, conversation(wire))
            .await
            .expect("the conversation ends in time")
    })
}

fn small() -> String {
    format!("GET /small.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

#[test]
fn a_head_that_comes_too_slowly_is_answered_408() {
    let (demo, _server) = serve_with("header_timeout = \"1s\"");
    talk(&demo, async |mut wire| {
        wire.send(b"GET /small.bin HTTP/1.1\r\nHost: ")
            .await
            .unwrap();
        let (head, _) = wire.response().await.unwrap();
        assert_eq!(head.status, 408);
        assert!(head.closes());
        wire.end().await.unwrap();
    });
}

#[test]
fn one_byte_at_a_time_gains_no_time() {
    let (demo, _server) = serve_with("header_timeout = \"1s\"");
    talk(&demo, async |mut wire| {
        let begun = std::time::Instant::now();
        // The kernel takes what a closed peer will not: write until it says so.
        while wire.send(b"G").await.is_ok() && begun.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
    });
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    let (demo, _server) = serve_with("keep_alive_timeout = \"1s\"");
    talk(&demo, async |mut wire| {
        wire.send(small().as_bytes()).await.unwrap();
        assert_eq!(wire.response().await.unwrap().0.status, 200);
        assert!(wire.end().await.unwrap().is_empty());
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (demo, _server) = Demo::serve(0);
    talk(&demo, async |mut wire| {
        let mut requests = small();
        requests += &format!("GET /nothing HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        requests += &format!("GET /large.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        requests += &small();
        wire.send(requests.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (head, body) = wire.response().await.unwrap();
            seen.push((head.status, if head.status == 200 { body.len() } else { 0 }));
        }
        assert_eq!(
            seen,
            [(200, 1024), (404, 0), (200, 200 * 1024), (200, 1024)]
        );
    });
}

#[test]
fn a_client_that_shuts_its_half_is_answered() {
    let (demo, _server) = Demo::serve(0);
    talk(&demo, async |mut wire| {
        wire.send(small().as_bytes()).await.unwrap();
        wire.stream.shutdown().await.unwrap();
        assert_eq!(wire.response().await.unwrap().1.len(), 1024);
        wire.end().await.unwrap();
    });
}

#[test]
fn connection_close_is_honoured() {
    let (demo, _server) = Demo::serve(0);
    talk(&demo, async |mut wire| {
        wire.send(
            small()
                .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
        .await
        .unwrap();
        let (head, _) = wire.response().await.unwrap();
        assert!(head.closes());
        assert!(wire.end().await.unwrap().is_empty());
    });
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let (demo, _server) = Demo::serve(0);
    talk(&demo, async |mut wire| {
        wire.send(b"GET /small.bin HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(wire.response().await.unwrap().1.len(), 1024);
        wire.send(b"GET /small.bin HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(wire.response().await.unwrap().1.len(), 1024);
        assert!(wire.end().await.unwrap().is_empty());
    });
}

#[test]
fn what_is_no_http_is_answered_400() {
    let (demo, _server) = Demo::serve(0);
    for nonsense in [
        "NONSENSE\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        talk(&demo, async |mut wire| {
            wire.send(nonsense.as_bytes()).await.unwrap();
            assert_eq!(wire.response().await.unwrap().0.status, 400, "{nonsense:?}");
        });
    }
}

#[test]
fn both_lengths_at_once_are_not_believed() {
    let (demo, _server) = Demo::serve(0);
    let smuggled = "POST /echo/count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\
                    Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /small.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    talk(&demo, async |mut wire| {
        wire.send(smuggled.as_bytes()).await.unwrap();
        let (head, _) = wire.response().await.unwrap();
        // Refused, or read as chunked and the connection given up (RFC 9112 section 6.3).
        assert!(head.status == 400 || head.closes(), "{head:?}");
    });
}

#[test]
fn an_endless_head_ends() {
    let (demo, _server) = Demo::serve(0);
    talk(&demo, async |mut wire| {
        let line = format!("x-filler: {}\r\n", "a".repeat(1000));
        let _ = wire
            .send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n").as_bytes())
            .await;
        for _ in 0..2000 {
            if wire.send(line.as_bytes()).await.is_err() {
                return;
            }
        }
        match wire.response().await {
            Ok((head, _)) => assert!(matches!(head.status, 400 | 431), "{}", head.status),
            Err(failure) => assert!(!matches!(failure, Failure::Malformed(_)), "{failure:?}"),
        }
    });
}

#[test]
fn a_body_waits_for_100_continue() {
    let (demo, _server) = Demo::serve(0);
    talk(&demo, async |mut wire| {
        let head = format!(
            "POST /echo/count HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        );
        wire.send(head.as_bytes()).await.unwrap();
        // Interim responses are passed over by the reader; wait for its bytes.
        let mut interim = [0; 25];
        tokio::io::AsyncReadExt::read_exact(&mut wire.stream, &mut interim)
            .await
            .unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        wire.send(b"\x01\x02\x03").await.unwrap();
        assert_eq!(wire.response().await.unwrap().1, b"3 6");
    });
}

#[test]
fn http2_by_prior_knowledge() {
    let (demo, _server) = Demo::serve(0);
    http2(Endpoint::plain(demo.plain), "http");
}

#[test]
fn http2_by_alpn() {
    let (demo, _server) = Demo::serve(0);
    let tls = tls(&demo.authority.der(), HOST, b"h2");
    http2(
        Endpoint {
            address: demo.secure,
            from: None,
            tls: Some(tls),
        },
        "https",
    );
}

fn http2(endpoint: Endpoint, scheme: &str) {
    runtime().block_on(async {
        let mut connection = Connection::open(&endpoint).await.unwrap();
        for (path, length) in [("small.bin", 1024), ("large.bin", 200 * 1024)] {
            let request = Request::get(format!("{scheme}://{HOST}/{path}"))
                .body(())
                .unwrap();
            let response = connection.request(request, None).await.unwrap();
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let mut seen = 0;
            while let Some(part) = body.data().await {
                let part = part.unwrap();
                seen += part.len();
                body.flow_control().release_capacity(part.len()).unwrap();
            }
            assert_eq!(seen, length);
        }
    });
}

#[test]
fn an_idle_connection_outlives_a_reload_or_is_told() {
    let (demo, server) = Demo::serve(1);
    talk(&demo, async |mut wire| {
        wire.send(small().as_bytes()).await.unwrap();
        wire.response().await.unwrap();
        server.reload_to(&demo.bws(1));
        // Just after the reload: a request on the old connection has to be answered.
        wire.send(small().as_bytes()).await.unwrap();
        let (head, body) = wire.response().await.unwrap();
        assert_eq!((head.status, body.len()), (200, 1024));
    });
}

#[test]
fn hundreds_of_idle_connections_go_through_reloads() {
    const CONNECTIONS: usize = 300;
    let (demo, server) = Demo::serve(3);
    runtime().block_on(async {
        let endpoint = Endpoint::plain(demo.plain);
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            all.push(Wire::new(endpoint.connect().await.unwrap()));
        }
        for number in 0..=3 {
            if number > 0 {
                server.reload_to(&demo.bws(number));
            }
            for (at, wire) in all.iter_mut().enumerate() {
                let idle = wire.stream.idle();
                assert_eq!(
                    idle,
                    Idle::Quiet,
                    "connection {at} ended by reload {number}"
                );
                wire.send(small().as_bytes()).await.unwrap();
                let answer = tokio::time::timeout(PATIENCE, wire.response())
                    .await
                    .expect("in time");
                let (head, _) =
                    answer.unwrap_or_else(|failure| panic!("{failure:?} on connection {at}"));
                assert_eq!(head.status, 200);
                if head.closes() {
                    *wire = Wire::new(endpoint.connect().await.unwrap());
                }
            }
        }
    });
}

#[test]
fn one_connection_more_than_allowed_waits_and_is_not_reset() {
    let (demo, _server) = serve_with("max_connections = 4");
    runtime().block_on(async {
        let endpoint = Endpoint::plain(demo.plain);
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut wire = Wire::new(endpoint.connect().await.unwrap());
            wire.send(small().as_bytes()).await.unwrap();
            wire.response().await.unwrap();
            held.push(wire);
        }
        let mut waiting = Wire::new(endpoint.connect().await.unwrap());
        waiting.send(small().as_bytes()).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), waiting.response()).await;
        held.clear();
        if early.is_err() {
            let late = tokio::time::timeout(PATIENCE, waiting.response())
                .await
                .expect("its turn comes");
            assert_eq!(late.unwrap().0.status, 200);
        }
    });
}

#[test]
fn a_stop_waits_for_requests_and_not_for_idle_connections() {
    let (demo, mut server) = Demo::serve(0);
    let patient = format!("[server]\nshutdown_timeout = \"10m\"\n{}", demo.bws(0));
    server.reload_to(&patient);
    talk(&demo, async |mut used| {
        used.send(small().as_bytes()).await.unwrap();
        used.response().await.unwrap();
        let mut fresh = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        let mut busy = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        let request = small();
        let (begin, end) = request.split_at(9);
        busy.send(begin.as_bytes()).await.unwrap();
        server.process.signal(Signal::TERM);
        assert!(used.end().await.unwrap().is_empty());
        assert!(fresh.end().await.unwrap().is_empty());
        busy.send(end.as_bytes()).await.unwrap();
        let (head, body) = busy.response().await.unwrap();
        assert_eq!((head.status, body.len(), head.closes()), (200, 1024, true));
    });
    assert!(server.process.wait().success());
}

#[test]
fn http10_hears_close_exactly_when_the_connection_ends() {
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let upstream = Backend::says(CHUNKED);
    let (demo, _server) = Demo::serve_copy(0, |config| {
        let ours = format!("url = \"http://{}\"", upstream.address);
        let at = config.find("url = ").expect("an upstream");
        let end = at + config[at..].find(" }").expect("its end");
        [&config[..at], &ours, &config[end..]].concat()
    });
    talk(&demo, async |mut wire| {
        for (path, size, closes) in [("/small.bin", 1024, false), ("/echo", 5, true)] {
            let request =
                format!("GET {path} HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n");
            wire.send(request.as_bytes()).await.unwrap();
            let (head, body) = wire.response().await.unwrap();
            assert_eq!((head.status, body.len()), (200, size), "{path}");
            let said: Vec<&str> = head
                .headers()
                .filter(|(name, _)| *name == "connection")
                .map(|(_, value)| value)
                .collect();
            assert_eq!(
                said,
                [if closes { "close" } else { "keep-alive" }],
                "{path}"
            );
        }
        assert!(wire.end().await.unwrap().is_empty());
    });
}
