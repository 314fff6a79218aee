//! Upstreams that are services: the targets of SRV records share the requests.

use std::time::Duration;

use super::upstream::*;
use crate::config::types::*;
use crate::dns::name_server::{NameServer, Record, address, service as record};
use crate::http::testing::*;

const NAME: &str = "_http._tcp.app.test";

/// A name server on which the hosts a to d are this machine.
fn name_server() -> NameServer {
    let server = NameServer::start();
    for host in ["a.test", "b.test", "c.test", "d.test"] {
        server.tell(host, 60, &[address("127.0.0.1")]);
    }
    server
}

fn config_of(server: &NameServer, change: impl FnOnce(&mut Proxy)) -> Config {
    let mut proxy = proxy(&[1]);
    let upstream = &mut proxy.pools[0].servers[0];
    upstream.address = UpstreamAddress::Service(NAME.into());
    change(&mut proxy);
    let mut config = through(proxy);
    config.resolver = vec![server.address];
    config
}

async fn requests(seen: &Seen) -> usize {
    let seen = seen.borrow();
    seen.iter()
        .map(|bytes| bytes.matches("\r\n\r\n").count())
        .sum()
}

#[test]
fn weights_and_ports_of_the_records_count() {
    run(async {
        let ((one, first), (two, second)) = (serve(&[OK]).await, serve(&[OK]).await);
        let server = name_server();
        let records = [record(5, 3, one, "a.test"), record(5, 1, two, "a.test")];
        server.tell(NAME, 60, &records);
        let service = service(config_of(&server, |_| {}));
        for _ in 0..40 {
            assert_eq!(status(&ask(&service, "GET /", "").await), 200);
        }
        assert_eq!((requests(&first).await, requests(&second).await), (30, 10));
        assert_eq!(server.questions(NAME), 1);
    });
}

#[test]
fn a_target_of_weight_zero_is_chosen_hardly_ever() {
    run(async {
        let ((one, first), (two, second)) = (serve(&[OK]).await, serve(&[OK]).await);
        let server = name_server();
        let records = [record(0, 0, one, "a.test"), record(0, 1, two, "b.test")];
        server.tell(NAME, 60, &records);
        let service = service(config_of(&server, |_| {}));
        for _ in 0..40 {
            assert_eq!(status(&ask(&service, "GET /", "").await), 200);
        }
        let (hardly, mostly) = (requests(&first).await, requests(&second).await);
        assert!(hardly <= 1 && mostly >= 39, "{hardly}, {mostly}");
    });
}

#[test]
fn the_next_priority_serves_while_the_first_is_down() {
    run(async {
        let closed = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let ((one, first), (two, second)) = (serve(&[OK]).await, serve(&[OK]).await);
        let server = name_server();
        let down = record(1, 1, closed, "a.test");
        let records = |last| vec![down.clone(), record(2, 1, one, "b.test"), last];
        server.tell(NAME, 1, &records(record(3, 1, two, "c.test")));
        let service = service(config_of(&server, |_| {}));
        for _ in 0..10 {
            assert_eq!(status(&ask(&service, "GET /", "").await), 200);
        }
        assert_eq!((requests(&first).await, requests(&second).await), (10, 0));
        // What was learned of a target outlives a change of others.
        server.tell(NAME, 1, &records(record(0, 1, two, "c.test")));
        eventually(async || {
            assert_eq!(status(&ask(&service, "GET /", "").await), 200);
            requests(&second).await > 0
        })
        .await;
        let before = requests(&first).await;
        for _ in 0..10 {
            assert_eq!(status(&ask(&service, "GET /", "").await), 200);
        }
        assert_eq!(requests(&first).await, before);
    });
}

#[test]
fn clients_keep_their_target_when_others_come() {
    run(async {
        let mut ports = [0; 4];
        let mut seen = vec![];
        for port in &mut ports {
            let (bound, log) = serve(&[OK]).await;
            *port = bound;
            seen.push(log);
        }
        let hosts = ["a.test", "b.test", "c.test", "d.test"];
        let records = |count: usize| -> Vec<Record> {
            let all = ports.iter().zip(hosts).rev().take(count);
            all.map(|(&port, host)| record(1, 1, port, host)).collect()
        };
        let server = name_server();
        server.tell(NAME, 1, &records(2));
        let config = config_of(&server, |proxy| proxy.balancing.sticky_sessions = true);
        let (one, other) = (service(config.clone()), service(config));
        let answer = ask(&one, "GET /", "").await;
        let cookie = header(&answer, "set-cookie").unwrap();
        let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
        let own = (0..4).find(|&index| seen[index].borrow().len() == 1);
        let own = own.expect("one target answered");
        server.tell(NAME, 1, &records(4));
        // The other one knows no target yet.
        let mut sent = 1;
        for _ in 0..10 {
            assert_eq!(status(&ask(&other, "GET /", &cookie).await), 200);
            assert_eq!(status(&ask(&one, "GET /", &cookie).await), 200);
            sent += 2;
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        assert_eq!(requests(&seen[own]).await, sent);
        assert!(server.questions(NAME) > 2, "the change was taken up");
    });
}

#[test]
fn a_service_that_nobody_knows_is_503_and_comes() {
    run(async {
        let (port, _) = serve(&[OK]).await;
        let server = name_server();
        let service = service(config_of(&server, |_| {}));
        let answer = ask(&service, "GET /", "").await;
        assert_eq!(status(&answer), 503, "{answer}");
        assert!(header(&answer, "retry-after").is_some());
        server.tell(NAME, 60, &[record(1, 1, port, "a.test")]);
        eventually(async || status(&ask(&service, "GET /", "").await) == 200).await;
        server.forget(NAME);
        assert_eq!(status(&ask(&service, "GET /", "").await), 200);
    });
}

#[test]
fn targets_are_checked_each_by_itself() {
    run(async {
        const ILL: &str = "HTTP/1.1 500 Ill\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let ((one, _), (two, second)) = (serve(&[OK]).await, serve(&[ILL]).await);
        let server = name_server();
        let records = [record(1, 1, one, "a.test"), record(1, 1, two, "b.test")];
        server.tell(NAME, 60, &records);
        let config = config_of(&server, |proxy| {
            proxy.health_check = Some(HealthCheck {
                path: "/up".into(),
                interval: Duration::from_millis(50),
                timeout: Duration::from_secs(2),
                retries: 1,
                healthy_after: 1,
            });
        });
        let service = service(config);
        service.start_checks();
        let checks = |seen: &Seen| seen.borrow().iter().any(|bytes| bytes.contains("GET /up"));
        eventually(async || checks(&second)).await;
        eventually(async || {
            let answers = [
                ask(&service, "GET /", "").await,
                ask(&service, "GET /", "").await,
            ];
            answers.iter().all(|answer| status(answer) == 200)
        })
        .await;
    });
}
