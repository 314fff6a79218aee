//! Several servers of one name: shared load, failover, health; and what other proxies are known to get wrong.

mod bugs;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::backend::Backend;
use crate::harness::bws::Bws;
use crate::harness::{PATIENCE, fetch, get, listener, wait_for};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HOST: &str = "localhost";

/// A site that is a proxy to one pool; ends with the test.
pub struct Site {
    pub server: Bws,
    pub address: SocketAddr,
    folder: tempfile::TempDir,
    text: String,
}

impl Site {
    /// `more` are keys and tables of `[sites.proxy]`.
    pub fn before(upstreams: &[(SocketAddr, &str)], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, address) = listener();
        let servers: Vec<String> = upstreams
            .iter()
            .map(|(server, keys)| format!("{{ name = \"pool\", url = \"http://{server}\"{keys} }}"))
            .collect();
        let text = format!(
            "[performance]\nworker_threads = 2\n[[sites]]\nname = \"site\"\nhostname = \"{HOST}\"\n\
             listen = \"{address}\"\n[sites.proxy]\nenabled = true\nupstreams = [{}]\n{more}\n",
            servers.join(", ")
        );
        let server = Bws::start(folder.path(), &text, vec![socket]);
        Self {
            server,
            address,
            folder,
            text,
        }
    }

    pub fn status(&self, path: &str) -> u16 {
        get(self.address, HOST, path).0.status
    }

    /// What the management API says of server number `index`.
    fn upstream(&self, index: usize) -> serde_json::Value {
        let (status, body) = self.server.control("GET", "/api/upstreams");
        assert_eq!(status, 200, "{body}");
        let all: serde_json::Value = serde_json::from_str(&body).unwrap();
        all["upstreams"][index].clone()
    }

    fn wait_until_healthy(&self, index: usize, healthy: bool) -> serde_json::Value {
        wait_for("a change of health", || {
            let upstream = self.upstream(index);
            (upstream["healthy"] == healthy).then_some(upstream)
        })
    }
}

#[test]
fn a_server_killed_under_load_costs_nothing_and_comes_back() {
    let first = Backend::says(OK);
    let mut second = Some(Backend::says(OK));
    let address = second.as_ref().unwrap().address;
    let site = Site::before(&[(first.address, ""), (address, "")], "");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(site.status("/load"), 200);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let more = |count: usize| {
            let goal = answered.load(Ordering::SeqCst) + count;
            wait_for("answers", || {
                (answered.load(Ordering::SeqCst) >= goal).then_some(())
            });
        };
        more(50);
        drop(second.take());
        let down = site.wait_until_healthy(1, false);
        assert_eq!(down["reason"], "cannot be connected to");
        more(50);
        second = Some(Backend::revive(address, |_| Some(OK.into())));
        let back = site.wait_until_healthy(1, true);
        assert_ne!(back["state"], "down");
        let revived = second.as_ref().unwrap();
        wait_for("requests at the revived server", || {
            (revived.count() > 3).then_some(())
        });
        stop.store(true, Ordering::SeqCst);
    });
    let metrics = site.server.metrics();
    let ejections = metrics.iter().find(|(name, _)| {
        name.starts_with("bws_upstream_ejections_total") && name.contains(&address.to_string())
    });
    assert!(ejections.unwrap().1 >= 1.0);
    let log = site.server.process.output();
    assert!(log.contains("is down: cannot be connected to"), "{log}");
    assert!(log.contains("is back"), "{log}");
}

#[test]
fn the_next_generation_knows_who_is_down() {
    let good = Backend::says(OK);
    let ill = Backend::start(|head| {
        Some(match head.starts_with("GET /up ") {
            true => b"HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n".to_vec(),
            false => OK.into(),
        })
    });
    let check = "[sites.proxy.health_check]\npath = \"/up\"\ninterval = \"300ms\"\nretries = 1\n";
    let site = Site::before(&[(good.address, ""), (ill.address, "")], check);
    let down = site.wait_until_healthy(1, false);
    assert_eq!(down["reason"], "health check: answered with an error");
    let text = site.server.command(&["status"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("2 upstream servers, 1 down"), "{text}");
    let asked = |server: &Backend| {
        let seen = server.seen();
        seen.iter().filter(|line| line.contains("/mine")).count()
    };
    let before = asked(&ill);
    for _ in 0..4 {
        // Its first check comes some time after its first requests.
        site.server.reload_to(&site.text);
        for _ in 0..5 {
            assert_eq!(site.status("/mine"), 200);
        }
    }
    assert_eq!((asked(&ill), asked(&good)), (before, 20));
    assert_eq!(site.upstream(1)["healthy"], false);
    drop(site.folder);
}

#[test]
fn three_weights_share_ten_thousand_requests_within_one_percent() {
    let servers = [(); 3].map(|()| Backend::says(OK));
    let weights = [", weight = 3", ", weight = 2", ", weight = 1"];
    let upstreams: Vec<_> = servers
        .iter()
        .zip(weights)
        .map(|(server, weight)| (server.address, weight))
        .collect();
    let site = Site::before(&upstreams, "");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| pipeline(site.address, 50)));
        }
    });
    for (server, share) in servers.iter().zip([3, 2, 1]) {
        let ideal = 10_000 * share / 6;
        assert!(server.count().abs_diff(ideal) <= 100, "{}", server.count());
    }
}

/// So many requests on one connection, all sent before the first answer.
fn pipeline(address: SocketAddr, count: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.repeat(count).as_bytes()).unwrap();
    let (mut answers, mut buffer) = (String::new(), [0; 16 * 1024]);
    while answers.matches("\r\n\r\nok").count() < count {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{answers}");
        answers += &String::from_utf8_lossy(&buffer[..read]);
    }
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), count);
}

#[test]
fn a_post_is_sent_to_one_server_only() {
    let servers = [(); 2].map(|()| Backend::start(|_| None));
    let upstreams: Vec<_> = servers.iter().map(|it| (it.address, "")).collect();
    let site = Site::before(&upstreams, "");
    let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(fetch(site.address, &request).0.status, 502);
    let total: usize = servers.iter().map(Backend::count).sum();
    assert_eq!(total, 1);
    // A GET may be: once at each of them.
    assert_eq!(site.status("/get"), 502);
    assert_eq!(servers.iter().map(Backend::count).sum::<usize>(), 3);
}

#[test]
fn a_client_that_leaves_takes_its_upstream_request_along() {
    let gone = listener();
    let log = "[logging]\nlog_requests = true\naccess_log = \"access.log\"\n";
    let site = Site::before(&[(gone.1, "")], log);
    let mut client = TcpStream::connect(site.address).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let (mut upstream, _) = gone.0.accept().unwrap();
    let mut buffer = [0; 1000];
    assert!(upstream.read(&mut buffer).unwrap() > 0);
    drop(client);
    upstream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The end of the connection, not the end of our patience.
    match upstream.read(&mut buffer) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    wait_for("its line in the access log", || {
        let log = std::fs::read_to_string(site.folder.path().join("access.log")).ok()?;
        log.contains("\"GET / HTTP/1.1\" 499 0 ").then_some(())
    });
}

#[test]
fn a_client_that_closed_its_half_only_gets_its_answer() {
    let server = Backend::says(OK);
    let site = Site::before(&[(server.address, "")], "");
    let mut client = TcpStream::connect(site.address).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}
