//! Bodies by HTTP/2 go no faster than who takes them, and stand in nobody's way (RFC 9113 section 5.2).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::frames::*;
use super::interim::GET;
use super::upstream::through;
use crate::http::testing::*;

/// Of a stream.
const WINDOW: usize = 256 * 1024;

#[test]
fn a_request_is_sent_as_the_upstream_takes_it() {
    run(async {
        let peer = answering(|_| Vec::new()).await;
        let mut proxy = by_http2(&[&peer]);
        proxy.timeout.write = Duration::from_millis(400);
        let mut config = through(proxy);
        config.security.max_request_size = 300_000;
        let service = service(config);
        let mut client = connect(&service);
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
        client.write_all(head).await.unwrap();
        // More than that is not read.
        client.write_all(&[b'x'; 100_000]).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 504");
        // The first window of RFC 9113 section 6.9.2.
        eventually(async || peer.resets() == [CANCEL]).await;
        assert_eq!(peer.data().len(), 65_535);
    });
}

/// An upstream that sends without end, as much as it may on each stream.
async fn endless(sent: &Rc<Cell<usize>>) -> Peer {
    let counted = sent.clone();
    Peer::start(move |came, _| {
        let (head, room) = match came.kind {
            HEADERS => (head(0, came.stream, &[(":status", "200")]), WINDOW),
            WINDOW_UPDATE if came.stream > 0 => (Vec::new(), came.word() as usize),
            _ => return Vec::new(),
        };
        counted.set(counted.get() + room);
        let pieces = vec![b'x'; room];
        let pieces = pieces
            .chunks(16_384)
            .flat_map(|piece| frame(DATA, 0, came.stream, piece));
        head.into_iter().chain(pieces).collect()
    })
    .await
}

#[test]
fn a_response_comes_as_the_client_takes_it() {
    run(async {
        let sent = Rc::default();
        let peer = endless(&sent).await;
        let service = service(through(by_http2(&[&peer])));
        let mut client = connect(&service);
        client.write_all(GET.as_bytes()).await.unwrap();
        let mut space = vec![0; 100_000];
        for turn in 1..100 {
            client.read_exact(&mut space).await.unwrap();
            let ahead = sent.get() - (turn * space.len()).min(sent.get());
            assert!(ahead < 4 * WINDOW, "{ahead} bytes are on their way");
        }
    });
}

#[test]
fn clients_that_take_nothing_are_in_nobodys_way() {
    run(async {
        let peer = endless(&Rc::default()).await;
        let service = service(through(by_http2(&[&peer])));
        let mut clients = Vec::new();
        for _ in 0..60 {
            let mut client = connect(&service);
            client.write_all(GET.as_bytes()).await.unwrap();
            client.read_exact(&mut [0; 12]).await.unwrap();
            clients.push(client);
        }
        let last = clients.last_mut().unwrap();
        last.read_exact(&mut vec![0; 3 * WINDOW]).await.unwrap();
        assert_eq!(peer.connections.get(), 1);
    });
}
