//! Connections to upstreams that serve another request, and those that must not.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::upstream::*;
use crate::http::testing::*;

/// More than one answer at once: what comes unasked is not the answer to the next request.
const TWO: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad";

/// It says that it stays, and leaves.
const LEAVES: &str = "HTTP/1.1 200 OK\r\nX: close\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn what_nobody_asked_for_ends_a_connection() {
    run(async {
        let (port, seen) = serve(&[TWO, OK]).await;
        let service = service(through(proxy(&[port])));
        for _ in 0..3 {
            assert_eq!(body(&ask(&service, "GET /", "").await), "ok");
        }
        assert_eq!(seen.borrow().len(), 2);
    });
}

#[test]
fn a_post_is_not_sent_where_nobody_listens() {
    run(async {
        let (port, seen) = serve(&[LEAVES, OK]).await;
        let service = service(through(proxy(&[port])));
        assert_eq!(body(&ask(&service, "GET /", "").await), "ok");
        let posted = ask(&service, "POST /", "Content-Length: 0\r\n").await;
        assert_eq!((status(&posted), seen.borrow().len()), (200, 2));
    });
}

#[test]
fn a_response_may_come_before_the_request_is_whole() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        // The rest goes on to the upstream, which looks at it.
        client.write_all(b"abcdef").await.unwrap();
        eventually(async || seen.borrow()[0].ends_with("\r\n\r\nabcdef")).await;
        // Then the connection has room for another request.
        assert_eq!(body(&ask(&service, "GET /", "").await), "ok");
        assert_eq!(seen.borrow().len(), 1);
    });
}

#[test]
fn an_empty_answer_instead_of_the_body() {
    run(async {
        const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let (port, seen) = serve(&[DENIED]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client
            .write_all(
                b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n",
            )
            .await
            .unwrap();
        let mut answer = vec![0; 512];
        let count = client.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        eventually(async || seen.borrow()[0].contains("[closed]")).await;
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_response_ends_its_connection() {
    run(async {
        let (port, seen) = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        drop(client);
        eventually(async || seen.borrow()[0].ends_with("[closed]")).await;
    });
}

#[test]
fn a_slow_head_is_read_piece_by_piece() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1000]).await.unwrap();
            for byte in b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let service = service(through(proxy(&[port])));
        let answer = ask(&service, "GET /", "").await;
        assert!(body(&answer).ends_with("0\r\n\r\n"), "{answer}");
    });
}
