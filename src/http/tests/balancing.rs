//! Servers of one pool: how requests are shared out, what becomes of those that are down or full.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

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
async fn hang(service: &Rc<Service>) -> tokio::io::DuplexStream {
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
        proxy.balancing.queue_timeout = Duration::from_millis(50);
        let service = service(through(proxy));
        let _first = hang(&service).await;
        eventually(async || {
            let mut second = hang(&service).await;
            let mut answer = [0; 12];
            let waiting =
                tokio::time::timeout(Duration::from_millis(500), second.read_exact(&mut answer));
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
        let accepted = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
        assert!(accepted.is_err());
        assert_eq!(connections(&[seen]), [1]);
    });
}

#[test]
fn a_cookie_leads_back_to_the_same_server() {
    run(async {
        let answer: &[&str] =
            &["HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\nConnection: close\r\n\r\n"];
        let (ports, seen) = serve_many::<3>(answer).await;
        let mut proxy = proxy(&ports);
        proxy.balancing.sticky_sessions = true;
        let config = through(proxy);
        let service = service(config);
        let first = ask(&service, "GET /", "").await;
        let ours = first
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: bws-"));
        let (cookie, attributes) = ours.unwrap().split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
        assert!(first.contains("set-cookie: own=1\r\n"));
        let counts = connections(&seen);
        let header = format!("Cookie: x=y; bws-{cookie}; z\r\n");
        for _ in 0..5 {
            let again = ask(&service, "GET /", &header).await;
            assert!(!again.contains("set-cookie: bws-"), "{again}");
        }
        let server = counts.iter().position(|&count| count == 1).unwrap();
        assert_eq!(connections(&seen)[server], 6);
        // Nobody makes one up.
        let forged = ask(&service, "GET /", "Cookie: bws-00000000=0123\r\n").await;
        assert!(forged.contains("set-cookie: bws-"));
    });
}

/// An upstream that answers with the status in `status`, and says what it was asked for.
async fn serve_status(status: &Rc<Cell<u16>>) -> (u16, Rc<Cell<bool>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let checked = Rc::new(Cell::new(false));
    let (status, seen) = (status.clone(), checked.clone());
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1000];
            let count = stream.read(&mut buffer).await.unwrap();
            seen.set(seen.get() || buffer[..count].starts_with(b"GET /up?x HTTP/1.1\r\n"));
            let head = format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n", status.get());
            let answer = format!("{head}Connection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, checked)
}

#[test]
fn health_checks_take_out_and_bring_back() {
    run(async {
        let wanted = Rc::new(Cell::new(404));
        let (port, checked) = serve_status(&wanted).await;
        let mut proxy = proxy(&[port]);
        proxy.health_check = Some(HealthCheck {
            path: "/up?x".into(),
            interval: Duration::from_millis(20),
            timeout: Duration::from_secs(5),
            retries: 2,
            healthy_after: 2,
        });
        let service = service(through(proxy));
        service.start_checks();
        let ask = async || status(&ask(&service, "GET /", "").await);
        eventually(async || ask().await == 503).await;
        assert!(checked.get());
        wanted.set(302);
        eventually(async || ask().await == 302).await;
        wanted.set(404);
        service.stop_checks();
        assert_eq!(ask().await, 404);
    });
}

#[test]
fn other_answers_may_be_had_from_other_servers() {
    run(async {
        let (bad, _) = serve(&["HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"]).await;
        let (good, _) = serve(&[OK]).await;
        let mut proxy = proxy(&[bad, good]);
        proxy.retry.on_status = vec![503];
        let service = service(through(proxy));
        for _ in 0..4 {
            assert_eq!(status(&ask(&service, "GET /", "").await), 200);
        }
        let posts = [0; 2].map(|_| "POST /");
        let mut statuses = vec![];
        for line in posts {
            statuses.push(status(&ask(&service, line, "Content-Length: 0\r\n").await));
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 503]);
    });
}

#[test]
fn redirects_are_passed_on_unless_they_are_to_be_rewritten() {
    run(async {
        let answer: &[&str] =
            &["HTTP/1.1 302 Found\r\nLocation: http://a/x?y\r\nContent-Length: 0\r\n\r\n"];
        let (port, _) = serve(answer).await;
        let mut proxy = proxy(&[port]);
        let plain = ask(&service(through(proxy.clone())), "GET /", "").await;
        assert_eq!(
            (status(&plain), header(&plain, "location")),
            (302, Some("http://a/x?y"))
        );
        proxy.rewrite_redirects = true;
        let rewritten = ask(&service(through(proxy)), "GET /", "").await;
        assert_eq!(header(&rewritten, "location"), Some("/x?y"));
    });
}

#[test]
fn who_is_sent_to_https_goes_there() {
    run(async {
        let answer: &[&str] =
            &["HTTP/1.1 301 Moved\r\nLocation: https://a/login\r\nContent-Length: 0\r\n\r\n"];
        let (port, _) = serve(answer).await;
        let mut proxy = proxy(&[port]);
        proxy.rewrite_redirects = true;
        let sent = ask(&service(through(proxy)), "GET /login", "").await;
        assert_eq!(header(&sent, "location"), Some("https://a/login"));
    });
}
