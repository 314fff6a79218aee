//! The proxy when clients or upstreams misbehave.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::upstream::*;
use crate::http::testing::*;

#[test]
fn a_stale_connection_costs_nobody_a_request() {
    run(async {
        // The second request of the connection is answered by closing it.
        let (port, seen) = serve(&[OK, "", OK]).await;
        let service = service(through(proxy(&[port])));
        assert_eq!(body(&ask(&service, "GET /1", "").await), "ok");
        assert_eq!(body(&ask(&service, "GET /2", "").await), "ok");
        assert_eq!(seen.borrow().len(), 2);
    });
}

#[test]
fn a_post_is_not_sent_twice() {
    run(async {
        let (port, seen) = serve(&[""]).await;
        let service = service(through(proxy(&[port])));
        let response = ask(&service, "POST /", "Content-Length: 0\r\n").await;
        assert_eq!(status(&response), 502);
        assert_eq!(seen.borrow().len(), 1);
    });
}

#[test]
fn a_dead_server_is_passed_over() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let dead = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let service = service(through(proxy(&[dead, port])));
        for _ in 0..4 {
            assert_eq!(
                status(&ask(&service, "POST /", "Content-Length: 0\r\n").await),
                200
            );
        }
        assert_eq!(seen.borrow().len(), 1);
        let alone = crate::http::testing::service(through(proxy(&[dead])));
        assert_eq!(status(&ask(&alone, "GET /", "").await), 502);
    });
}

#[test]
fn a_body_beyond_the_limit_is_413_even_unannounced() {
    run(async {
        let (port, _) = serve(&["HTTP/1.1 100 Continue\r\n\r\n"]).await;
        let service = service(through(proxy(&[port])));
        let chunk = "a".repeat(600);
        let chunks = format!("258\r\n{chunk}\r\n258\r\n{chunk}\r\n0\r\n\r\n");
        let response = exchange(
            &service,
            &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        )
        .await;
        assert_eq!(status(&response), 413);
    });
}

#[test]
fn garbage_and_ambiguity_are_502() {
    run(async {
        for answer in [
            &["SSH-2.0-x\r\n\r\n"] as &'static [&'static str],
            &[
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ],
            &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nX: close\r\n\r\nabc"],
            &["HTTP/1.1 200 OK\r\nX y: z\r\n\r\n"],
        ] {
            let (port, _) = serve(answer).await;
            let service = service(through(proxy(&[port])));
            assert_eq!(status(&ask(&service, "GET /", "").await), 502, "{answer:?}");
        }
    });
}

#[test]
fn a_silent_upstream_is_504_and_a_stalled_body_breaks_off() {
    run(async {
        let (port, _) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ])
        .await;
        let mut proxy = proxy(&[port]);
        proxy.timeout.read = Duration::from_millis(100);
        let service = service(through(proxy));
        let stalled = ask(&service, "GET /", "").await;
        assert_eq!((status(&stalled), body(&stalled)), (200, "abc"));
        assert_eq!(status(&ask(&service, "GET /", "").await), 504);
    });
}

#[test]
fn a_client_that_leaves_ends_the_upstream_request() {
    run(async {
        let (port, seen) = serve(&["HTTP/1.1 100 Continue\r\n\r\n"]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        eventually(async || !seen.borrow().is_empty()).await;
        drop(client);
        eventually(async || seen.borrow()[0].ends_with("[closed]")).await;
    });
}

#[test]
fn an_upstream_that_takes_nothing_is_504() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = proxy(&[listener.local_addr().unwrap().port()]);
        proxy.timeout.write = Duration::from_millis(200);
        let mut config = through(proxy);
        config.security.max_request_size = u64::MAX;
        let service = service(config);
        let mut client = connect(&service);
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
            .await
            .unwrap();
        let (mut reader, mut writer) = tokio::io::split(client);
        tokio::task::spawn_local(async move {
            while writer.write_all(&[b'a'; 65_536]).await.is_ok() {}
        });
        let mut answer = [0; 12];
        reader.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 504");
    });
}

#[test]
fn a_slow_client_is_not_the_upstreams_fault() {
    run(async {
        // The upstream of this test answers at the second empty line, which is the end of the body.
        let (port, seen) = serve(&["HTTP/1.1 100 Continue\r\n\r\n", OK]).await;
        let mut proxy = proxy(&[port]);
        (proxy.timeout.read, proxy.timeout.write) =
            (Duration::from_millis(50), Duration::from_millis(50));
        let service = service(through(proxy));
        let mut client = connect(&service);
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await
            .unwrap();
        eventually(async || !seen.borrow().is_empty()).await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.write_all(b"1\r\na\r\n").await.unwrap();
        }
        client.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    });
}

#[test]
fn a_request_that_kills_its_server_is_not_sent_for_ever() {
    run(async {
        let (ports, seen) = serve_many(5, &[""]).await;
        let service = service(through(proxy(&ports)));
        assert_eq!(status(&ask(&service, "GET /", "").await), 502);
        assert_eq!(
            seen.iter().map(|seen| seen.borrow().len()).sum::<usize>(),
            3
        );
    });
}

async fn serve_many(count: usize, answers: &'static [&'static str]) -> (Vec<u16>, Vec<Seen>) {
    let (mut ports, mut logs) = (vec![], vec![]);
    for _ in 0..count {
        let (port, seen) = serve(answers).await;
        ports.push(port);
        logs.push(seen);
    }
    (ports, logs)
}

#[test]
fn names_are_resolved() {
    run(async {
        let (port, _) = serve(&[OK]).await;
        let mut proxy = proxy(&[port]);
        let host = "localhost".into();
        proxy.pools[0].servers[0].address =
            crate::config::types::UpstreamAddress::Http { host, port };
        assert_eq!(
            status(&ask(&service(through(proxy)), "GET /", "").await),
            200
        );
    });
}
