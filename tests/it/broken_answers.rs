//! Upstreams that die in the middle of an answer: what came of it reaches the client, and is not taken for the whole.

use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::client::storm::tls;
use crate::client::transport::{Endpoint, Transport};
use crate::client::wire::{Failure, Wire};
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::switching::read_head;
use crate::harness::{PATIENCE, listener, runtime, wait_for};

/// More than what all buffers on the way hold.
const LARGE: usize = 20 << 20;

/// The demo before an upstream that dies at every answer.
struct House {
    demo: Demo,
    _server: Bws,
    asked: Arc<AtomicUsize>,
}

fn house() -> House {
    let asked = Arc::new(AtomicUsize::new(0));
    let (upstream, address) = listener();
    let counted = asked.clone();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = upstream.accept() {
            let counted = counted.clone();
            std::thread::spawn(move || {
                while let Ok(head) = read_head(&mut stream) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    // What is not read would have its end overtake what was written.
                    stream.read_exact(&mut [0; 3]).unwrap();
                    let answer = answer(head.split(' ').nth(1).unwrap_or_default());
                    // The client may have left.
                    let _ = stream.write_all(&answer);
                    if !head.contains("/echo/whole") {
                        return;
                    }
                }
            });
        }
    });
    let (demo, server) = Demo::serve_copy(0, |config| {
        let at = config.find("http://").expect("an upstream");
        let end = at + config[at..].find('"').expect("its end");
        let ours = format!("http://{address}");
        let config = config.replace(&config[at..end], &ours);
        format!("[logging]\nlog_requests = true\naccess_log = \"access.log\"\n{config}")
    });
    House {
        demo,
        _server: server,
        asked,
    }
}

fn answer(path: &str) -> Vec<u8> {
    let (framing, mut body) = match path {
        "/echo/whole" => ("Content-Length: 2", b"ok".to_vec()),
        "/echo/length" => ("Content-Length: 100", b"hello".to_vec()),
        "/echo/chunks" => ("Transfer-Encoding: chunked", b"5\r\nhello\r\n".to_vec()),
        "/echo/head" => ("Content-Length: 100", Vec::new()),
        _ => ("Content-Length: 100000000", vec![b'x'; LARGE]),
    };
    let mut answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").into_bytes();
    answer.append(&mut body);
    answer
}

/// Posts to `path`, and reads what comes of the answer.
async fn post(wire: &mut Wire<Transport>, path: &str, pause: Duration) -> Vec<u8> {
    let request = format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\na=1");
    wire.send(request.as_bytes()).await.unwrap();
    let mut body = Vec::new();
    tokio::time::sleep(pause).await;
    let received = wire.receive(false, |part| body.extend_from_slice(part));
    let received = tokio::time::timeout(PATIENCE, received)
        .await
        .expect("in time");
    if path != "/echo/whole" {
        assert!(matches!(received, Err(Failure::Short)), "{received:?}");
    }
    body
}

#[test]
fn what_came_reaches_the_client_once() {
    let house = house();
    let secure = Endpoint {
        address: house.demo.secure,
        from: None,
        tls: Some(tls(&house.demo.authority.der(), HOST, b"http/1.1")),
    };
    runtime().block_on(async {
        for endpoint in [Endpoint::plain(house.demo.plain), secure] {
            for (path, expected) in [
                ("/echo/length", &b"hello"[..]),
                ("/echo/chunks", b"hello"),
                ("/echo/head", b""),
            ] {
                let mut wire = Wire::new(endpoint.connect().await.unwrap());
                let before = house.asked.load(Ordering::SeqCst);
                assert_eq!(post(&mut wire, "/echo/whole", Duration::ZERO).await, b"ok");
                assert_eq!(
                    post(&mut wire, path, Duration::ZERO).await,
                    expected,
                    "{path}"
                );
                assert_eq!(house.asked.load(Ordering::SeqCst) - before, 2, "{path}");
            }
        }
    });
}

#[test]
fn who_reads_slowly_gets_it_too_and_the_log_tells_how_much() {
    let house = house();
    runtime().block_on(async {
        let endpoint = Endpoint::plain(house.demo.plain);
        let mut wire = Wire::new(endpoint.connect().await.unwrap());
        let pause = Duration::from_millis(300);
        assert_eq!(post(&mut wire, "/echo/large", pause).await.len(), LARGE);
    });
    let line = wait_for("the log", || {
        let text = fs::read_to_string(house.demo.path().join("access.log")).unwrap_or_default();
        text.lines()
            .find(|line| line.contains("large"))
            .map(String::from)
    });
    assert!(line.contains(&format!(" 200 {LARGE} ")), "{line}");
}
