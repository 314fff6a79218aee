//! The reverse proxy: what reaches the upstream, and what comes back.

use std::fs;

use tokio::io::AsyncReadExt;

use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, fetch, free_address, get, listener, runtime};

/// A site that is a proxy: everything to the demo's upstream but for three routes.
fn serve() -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let config = format!(
        r#"
[security]
max_request_size = "1GB"

[[sites]]
name = "proxy"
hostname = "{HOST}"
listen = "{plain}"
headers = {{ x-site = "proxy" }}

[sites.proxy]
enabled = true
upstreams = [
    {{ name = "up", url = "http://{up}" }},
    {{ name = "down", url = "http://{down}" }},
    {{ name = "deep", url = "http://{up}/base" }},
]
routes = [
    {{ path = "/", upstream = "up" }},
    {{ path = "/api/", upstream = "up", strip_prefix = true }},
    {{ path = "/deep", upstream = "deep" }},
    {{ path = "/down/", upstream = "down" }},
    {{ path = "/slow/", upstream = "up", timeout = "300ms" }},
]
"#,
        plain = demo.plain,
        up = demo.upstream.address,
        down = free_address(),
    );
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    (demo, server)
}

/// The head that the upstream received.
fn seen(demo: &Demo, path: &str, headers: &str) -> Vec<String> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {HOST}:81\r\n{headers}Connection: close\r\n\r\n");
    let (head, body) = fetch(demo.plain, &request);
    assert_eq!(head.status, 200);
    String::from_utf8(body)
        .unwrap()
        .lines()
        .map(String::from)
        .collect()
}

fn value<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    lines
        .iter()
        .skip(1)
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn target_and_query_arrive_untouched() {
    let (demo, _server) = serve();
    for target in [
        "/head?a=%20b&c=%2F;d",
        "/x%2Fy/head?",
        "/a//b/head?x=1?y=2",
        "/head?%zz",
    ] {
        assert_eq!(
            seen(&demo, target, "")[0],
            format!("GET {target} HTTP/1.1"),
            "{target}"
        );
    }
}

#[test]
fn routes_by_longest_prefix_and_prefixes_taken_away() {
    let (demo, _server) = serve();
    assert_eq!(
        seen(&demo, "/api/v1/head?q", "")[0],
        "GET /v1/head?q HTTP/1.1"
    );
    assert_eq!(seen(&demo, "/apix/head", "")[0], "GET /apix/head HTTP/1.1");
    assert_eq!(
        seen(&demo, "/deep/head", "")[0],
        "GET /base/deep/head HTTP/1.1"
    );
}

#[test]
fn hop_by_hop_headers_stay_behind() {
    let (demo, _server) = serve();
    let text = "GET /head HTTP/1.1\r\nHost: localhost\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                TE: trailers\r\nProxy-Authorization: secret\r\nX-Kept: 2\r\n\r\n";
    let (_, body) = fetch(demo.plain, text);
    let lines: Vec<String> = String::from_utf8(body)
        .unwrap()
        .lines()
        .map(String::from)
        .collect();
    for gone in ["x-hop", "keep-alive", "proxy-authorization"] {
        assert_eq!(value(&lines, gone), None, "{gone}: {lines:?}");
    }
    assert_eq!(value(&lines, "x-kept"), Some("2"));
    assert!(value(&lines, "connection").is_none_or(|value| !value.contains("x-hop")));
}

#[test]
fn the_upstream_learns_who_asked_and_for_what() {
    let (demo, _server) = serve();
    let lines = seen(
        &demo,
        "/head",
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n",
    );
    assert_eq!(value(&lines, "host"), Some("localhost:81"));
    assert_eq!(value(&lines, "x-forwarded-proto"), Some("http"));
    assert_eq!(value(&lines, "x-forwarded-host"), Some("localhost:81"));
    // Nobody trusts this client, so its own claim is not passed on as the peer.
    let forwarded = value(&lines, "x-forwarded-for").unwrap_or_default();
    assert!(forwarded.ends_with("127.0.0.1"), "{forwarded}");
}

#[test]
fn answers_carry_the_sites_headers_and_the_upstreams_status() {
    let (demo, _server) = serve();
    let (head, _) = get(demo.plain, HOST, "/status/418");
    assert_eq!((head.status, head.header("x-site")), (418, Some("proxy")));
    assert_eq!(get(demo.plain, HOST, "/status/204").0.status, 204);
}

#[test]
fn an_upstream_that_is_down_or_silent() {
    let (demo, _server) = serve();
    assert_eq!(get(demo.plain, HOST, "/down/x").0.status, 502);
    assert_eq!(get(demo.plain, HOST, "/slow/hang").0.status, 504);
}

#[test]
fn bodies_stream_both_ways_at_once() {
    let (demo, _server) = serve();
    runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        let head =
            format!("POST /echo HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
        wire.send(head.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        for piece in ["alpha", "gamma", "omega"] {
            wire.send(format!("5\r\n{piece}\r\n").as_bytes())
                .await
                .unwrap();
            // The piece comes back before the next one leaves.
            let back = async {
                while !String::from_utf8_lossy(&seen).contains(piece) {
                    assert!(wire.stream.read_buf(&mut seen).await.unwrap() > 0);
                }
            };
            tokio::time::timeout(PATIENCE, back)
                .await
                .expect("the piece comes back");
        }
    });
}

#[test]
fn big_bodies_pass_without_being_kept() {
    const SIZE: usize = 256 << 20;
    let (demo, server) = serve();
    let piece = vec![7u8; 1 << 20];
    let answer = runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        let head =
            format!("POST /count HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {SIZE}\r\n\r\n");
        wire.send(head.as_bytes()).await.unwrap();
        for _ in 0..SIZE / piece.len() {
            wire.send(&piece).await.unwrap();
        }
        wire.response().await.unwrap().1
    });
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        format!("{SIZE} {}", SIZE * 7)
    );
    let (head, body) = get(demo.plain, HOST, &format!("/bytes/{}", 32 << 20));
    assert_eq!((head.status, body.len()), (200, 32 << 20));
    assert!(peak_memory(server.workers()[0]) < 64 << 20);
}

/// Peak resident memory, bytes.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let (demo, _server) = Demo::serve(0);
    let request = format!(
        "POST /echo/count HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n",
        11 << 20
    );
    assert_eq!(fetch(demo.plain, &request).0.status, 413);
}

#[test]
fn weights_share_the_requests_out() {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let other = crate::harness::upstream::Upstream::start();
    let config = format!(
        "[performance]\nworker_threads = 1\n[[sites]]\nname = \"w\"\nhostname = \"{HOST}\"\nlisten = \"{}\"\n\
         [sites.proxy]\nenabled = true\nupstreams = [\n\
         {{ name = \"pool\", url = \"http://{}/heavy\", weight = 3 }},\n\
         {{ name = \"pool\", url = \"http://{}/light\" }},\n]\n",
        demo.plain, demo.upstream.address, other.address,
    );
    let _server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    let heavy = (0..40)
        .filter(|_| seen(&demo, "/head", "")[0].contains("/heavy/head"))
        .count();
    assert_eq!(heavy, 30);
}
