//! Large files: whole, by their hash, over every protocol, to clients that take their time, and over a reload.

use std::fs;
use std::io::Write;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use http::Request;

use crate::client::http2::Connection;
use crate::client::storm::tls;
use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, runtime};

const SIZE: usize = 100 << 20;
const BLOCK: usize = 1 << 20;
/// What a worker may need beyond its first answer, far less than the file.
const MEMORY: u64 = 64 << 20;

/// A file whose every block differs, and its hash.
fn serve() -> (Demo, Bws, Vec<u8>) {
    let (demo, server) = Demo::serve(1);
    let mut hash = Context::new(&SHA256);
    let files = [0, 1].map(|number| demo.root(number).join("huge.bin"));
    let mut file = fs::File::create(&files[0]).unwrap();
    let mut block: Vec<u8> = (0..BLOCK).map(|at| (at * at / 7 % 251) as u8).collect();
    for number in 0..SIZE / BLOCK {
        block[..8].copy_from_slice(&(number as u64).to_be_bytes());
        hash.update(&block);
        file.write_all(&block).unwrap();
    }
    fs::hard_link(&files[0], &files[1]).unwrap();
    (demo, server, hash.finish().as_ref().to_vec())
}

async fn download(endpoint: &Endpoint, mut pause: impl AsyncFnMut(usize)) -> Vec<u8> {
    let mut wire = Wire::new(endpoint.connect().await.unwrap());
    let request = format!("GET /huge.bin HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    wire.send(request.as_bytes()).await.unwrap();
    pause(0).await;
    let mut hash = Context::new(&SHA256);
    let head = wire.receive(false, |part| hash.update(part)).await.unwrap();
    assert_eq!(head.status, 200);
    hash.finish().as_ref().to_vec()
}

fn secure(demo: &Demo, protocol: &[u8]) -> Endpoint {
    let tls = tls(&demo.authority.der(), HOST, protocol);
    Endpoint {
        address: demo.secure,
        from: None,
        tls: Some(tls),
    }
}

#[test]
fn over_http_1() {
    let (demo, server, expected) = serve();
    let hash = runtime().block_on(download(&Endpoint::plain(demo.plain), async |_| ()));
    assert_eq!(hash, expected);
    assert!(crate::proxy::peak_memory(server.workers()[0]) < MEMORY);
}

#[test]
fn over_tls() {
    let (demo, server, expected) = serve();
    let hash = runtime().block_on(download(&secure(&demo, b"http/1.1"), async |_| ()));
    assert_eq!(hash, expected);
    assert!(crate::proxy::peak_memory(server.workers()[0]) < MEMORY);
}

#[test]
fn over_http_2() {
    let (demo, server, expected) = serve();
    let hash = runtime().block_on(async {
        let mut connection = Connection::open(&secure(&demo, b"h2")).await.unwrap();
        let request = Request::get(format!("https://{HOST}/huge.bin"))
            .body(())
            .unwrap();
        let mut body = connection.request(request, None).await.unwrap().into_body();
        let mut hash = Context::new(&SHA256);
        while let Some(part) = body.data().await {
            let part = part.unwrap();
            hash.update(&part);
            body.flow_control().release_capacity(part.len()).unwrap();
        }
        hash.finish().as_ref().to_vec()
    });
    assert_eq!(hash, expected);
    assert!(crate::proxy::peak_memory(server.workers()[0]) < MEMORY);
}

#[test]
fn begun_before_a_reload_and_finished_after_it() {
    let (demo, server, expected) = serve();
    let old = server.workers()[0];
    for endpoint in [Endpoint::plain(demo.plain), secure(&demo, b"http/1.1")] {
        let hash = runtime().block_on(download(&endpoint, async |_| {
            server.reload_to(&demo.bws(1));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }));
        assert_eq!(hash, expected);
    }
    crate::harness::wait_for("the old worker to leave", || {
        (!server.workers().contains(&old)).then_some(())
    });
}

#[test]
fn a_reader_that_takes_its_time() {
    let (demo, server, _) = serve();
    runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        let request = format!("GET /large.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n").repeat(30);
        wire.send(request.as_bytes()).await.unwrap();
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let answer = tokio::time::timeout(PATIENCE, wire.response())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(answer.1.len(), 200 * 1024);
        }
    });
    assert!(crate::proxy::peak_memory(server.workers()[0]) < MEMORY);
}
