//! Answers that come before the request's body does: the connection goes on, or the client is told that it ends.

use crate::client::transport::{Endpoint, Transport};
use crate::client::wire::{Head, Wire};
use crate::harness::backend::Backend;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, runtime};

const PIECE: [u8; 10_000] = [b'x'; 10_000];

/// A conversation on one raw connection.
fn talk<T>(endpoint: Endpoint, conversation: impl AsyncFnOnce(Wire<Transport>) -> T) -> T {
    runtime().block_on(async {
        let wire = Wire::new(endpoint.connect().await.unwrap());
        tokio::time::timeout(PATIENCE, conversation(wire))
            .await
            .expect("the conversation ends in time")
    })
}

/// Sends the head of a POST with `fields`, and waits for the answer.
async fn ask(wire: &mut Wire<Transport>, path: &str, fields: &str) -> Head {
    let request = format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n\r\n");
    wire.send(request.as_bytes()).await.unwrap();
    wire.response().await.unwrap().0
}

async fn next_request(wire: &mut Wire<Transport>) {
    let request = format!("GET /small.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    wire.send(request.as_bytes()).await.unwrap();
    let (head, body) = wire.response().await.unwrap();
    assert_eq!((head.status, body.len()), (200, 1024));
}

#[test]
fn a_body_of_known_length_may_come_after_its_answer() {
    let (demo, _server) = Demo::serve(0);
    talk(Endpoint::plain(demo.plain), async |mut wire| {
        for _ in 0..2 {
            let head = ask(&mut wire, "/small.bin", "Content-Length: 1000000").await;
            assert_eq!((head.status, head.closes()), (405, false));
            for _ in 0..100 {
                wire.send(&PIECE).await.unwrap();
            }
            next_request(&mut wire).await;
        }
    });
}

/// The demo before an upstream that wants no bodies.
fn serve_refusing() -> (Backend, Demo, Bws) {
    const REFUSAL: &str = "HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    let upstream = Backend::says(REFUSAL);
    let (demo, server) = Demo::serve_copy(0, |config| {
        let at = config.find("http://").expect("an upstream");
        let end = at + config[at..].find('"').expect("its end");
        let ours = format!("http://{}", upstream.address);
        config.replace(&config[at..end], &ours)
    });
    (upstream, demo, server)
}

#[test]
fn a_body_that_the_upstream_does_not_want_may_come_as_well() {
    let (_upstream, demo, _server) = serve_refusing();
    talk(Endpoint::plain(demo.plain), async |mut wire| {
        let head = ask(&mut wire, "/echo", "Content-Length: 1000000").await;
        assert_eq!((head.status, head.closes()), (403, false));
        for _ in 0..100 {
            wire.send(&PIECE).await.unwrap();
        }
        next_request(&mut wire).await;
        let expecting = "Content-Length: 5\r\nExpect: 100-continue";
        let head = ask(&mut wire, "/echo", expecting).await;
        assert_eq!((head.status, head.closes()), (403, true));
        assert!(wire.end().await.unwrap().is_empty());
    });
}

#[test]
fn a_client_is_told_when_its_body_ends_the_connection() {
    let generous = |config: &str| format!("[security]\nmax_request_size = \"1GB\"\n{config}");
    let (demo, _server) = Demo::serve_copy(0, generous);
    for fields in [
        "Transfer-Encoding: chunked",
        "Content-Length: 100000000",
        "Content-Length: 5\r\nExpect: 100-continue",
    ] {
        talk(Endpoint::plain(demo.plain), async |mut wire| {
            let head = ask(&mut wire, "/small.bin", fields).await;
            assert_eq!((head.status, head.closes()), (405, true), "{fields}");
            assert!(wire.end().await.unwrap().is_empty());
        });
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_client_told_what_follows() {
    let limited = |config: &str| format!("[security]\nmax_request_size = \"1KB\"\n{config}");
    let (demo, _server) = Demo::serve_copy(0, limited);
    talk(Endpoint::plain(demo.plain), async |mut wire| {
        let head = ask(&mut wire, "/echo/count", "Content-Length: 50000").await;
        assert_eq!((head.status, head.closes()), (413, false));
        for _ in 0..5 {
            wire.send(&PIECE).await.unwrap();
        }
        next_request(&mut wire).await;
        let chunk = format!(
            "Transfer-Encoding: chunked\r\n\r\n2710\r\n{}",
            "x".repeat(10_000)
        );
        let head = ask(&mut wire, "/echo/count", &chunk).await;
        assert_eq!((head.status, head.closes()), (413, true));
        wire.end().await.unwrap();
    });
}
