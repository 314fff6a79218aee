//! Servers of one pool: how requests are shared out, what becomes of those that are down or full.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::upstream::*;
use crate::config::types::*;
use crate::http::service::Service;
use crate::http::testing::*;
use crate::metrics::counters::Recorder;

const SILENT: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// How often each upstream was connected to by clients that do not come back.
fn connections(seen: &[Seen]) -> Vec<usize> {
    seen.iter().map(|seen| seen.borrow().len()).collect()
}

async fn serve_many<const COUNT: usize>(
    answers: &'static [&'static str],
) -> ([u16; COUNT], Vec<Seen>) {
    let (mut ports, mut logs) = ([0; COUNT], vec![]);
    for port in &mut ports {
        let (bound, seen) = serve(answers).await;
        *port = bound;
        logs.push(seen);
    }
    (ports, logs)
}

async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// An open request that is not answered.
async fn hang(service: &std::rc::Rc<Service>) -> tokio::io::DuplexStream {
    let mut client = connect(service);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    client
}

#[test]
fn every_thread_counts_with_the_same_numbers() {
    run(async {
        let (ports, seen) = serve_many::<3>(&[SILENT]).await;
        let mut proxy = proxy(&ports);
        proxy.balancing.method = BalancingMethod::LeastConnections;
        let one = service(through(proxy));
        let other = Service::new(Arc::clone(&one.shared), Recorder::detached(1));
        let mut open = vec![];
        for turn in 1..=4 {
            open.push(hang(&one).await);
            open.push(hang(&other).await);
            eventually(async || connections(&seen).iter().sum::<usize>() == 2 * turn).await;
        }
        let mut counts = connections(&seen);
        counts.sort_unstable();
        assert_eq!(counts, [2, 3, 3]);
    });
}

#[test]
fn a_client_stays_with_its_server_by_address() {
    run(async {
        let (ports, seen) =
            serve_many::<4>(&["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"]).await;
        let mut proxy = proxy(&ports);
        proxy.balancing.method = BalancingMethod::IpHash;
        let service = service(through(proxy));
        for _ in 0..6 {
            assert_eq!(status(&ask(&service, "GET /", "").await), 200);
        }
        let mut counts = connections(&seen);
        counts.sort_unstable();
        assert_eq!(counts, [0, 0, 0, 6]);
    });
}

#[test]
fn a_full_server_is_passed_over_and_a_full_pool_waited_for() {
    run(async {
        let ([first, second], seen) = serve_many(&[SILENT]).await;
        let mut proxy = proxy(&[first, second]);
        for server in &mut proxy.pools[0].servers {
            server.max_conns = Some(1);
        }
        proxy.balancing.method = BalancingMethod::IpHash;
        let service = service(through(proxy));
        let first = hang(&service).await;
        let _second = hang(&service).await;
        eventually(async || connections(&seen) == [1, 1]).await;
        let _third = hang(&service).await;
        let mut fourth = hang(&service).await;
        // The queue of the tests holds two.
        let refused = ask(&service, "GET /", "").await;
        assert_eq!(status(&refused), 503);
        assert_eq!(header(&refused, "retry-after"), Some("1"));
        assert_eq!(connections(&seen), [1, 1]);
        drop(first);
        eventually(async || connections(&seen).iter().sum::<usize>() == 3).await;
        fourth.shutdown().await.unwrap();
    });
}

#[test]
fn who_waits_too_long_is_503() {
    run(async {
        let (port, _) = serve(&[SILENT]).await;
        let mut proxy = proxy(&[port]);
        proxy.pools[0].servers[0].max_conns = Some(1);
        proxy.balancing.queue_timeout = std::time::Duration::from_millis(50);
        let service = service(through(proxy));
        let _first = hang(&service).await;
        eventually(async || {
            let mut second = hang(&service).await;
            let mut answer = [0; 12];
            let waiting = tokio::time::timeout(
                std::time::Duration::from_millis(500),
                second.read_exact(&mut answer),
            );
            waiting.await.is_ok() && &answer == b"HTTP/1.1 503"
        })
        .await;
    });
}

#[test]
fn a_pool_that_is_down_says_when_to_come_again() {
    run(async {
        let dead = closed_port().await;
        let service = service(through(proxy(&[dead])));
        assert_eq!(status(&ask(&service, "GET /", "").await), 502);
        let refused = ask(&service, "GET /", "").await;
        assert_eq!(status(&refused), 503);
        assert_eq!(header(&refused, "retry-after"), Some("1"));
        // It comes back, and is found by itself.
        let listener = TcpListener::bind(("127.0.0.1", dead)).await.unwrap();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 1000];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        });
        eventually(async || status(&ask(&service, "GET /", "").await) == 200).await;
        assert_eq!(status(&ask(&service, "GET /", "").await), 200);
    });
}

#[test]
fn a_server_that_is_out_gets_no_requests() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let dead = closed_port().await;
        let service = service(through(proxy(&[dead, port])));
        assert_eq!(status(&ask(&service, "GET /", "").await), 200);
        // Somebody listens there again, but the back-off has just begun: two would share the requests.
        let listener = TcpListener::bind(("127.0.0.1", dead)).await.unwrap();
        for _ in 0..10 {
            assert_eq!(
                status(&ask(&service, "POST /", "Content-Length: 0\r\n").await),
                200
            );
        }
        let accepted = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
        assert!(accepted.is_err());
        assert_eq!(connections(&[seen]), [1]);
    });
}
