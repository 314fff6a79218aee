//! Bugs that other proxies have, or had: each with a test that it is not here.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{HOST, OK, Site};
use crate::harness::backend::Backend;
use crate::harness::{fetch, free_address, get, wait_for};

/// A raw exchange; the connection is left to end by itself.
fn raw(site: &Site, request: &str) -> String {
    let mut stream = TcpStream::connect(site.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn closing(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\r\n")
}

#[test]
fn round_robin_does_not_always_pick_the_first() {
    let servers = [(); 3].map(|()| Backend::says(OK));
    let upstreams: Vec<_> = servers.iter().map(|it| (it.address, "")).collect();
    for method in ["round_robin", "weighted", "least_connections", "random_two"] {
        let before: Vec<_> = servers.iter().map(Backend::count).collect();
        let more = format!("load_balancing = {{ method = \"{method}\" }}");
        let site = Site::before(&upstreams, &more);
        for _ in 0..60 {
            assert_eq!(site.status("/"), 200);
        }
        for (server, before) in servers.iter().zip(before) {
            assert!(server.count() - before >= 5, "{method}");
        }
    }
}

#[test]
fn query_strings_arrive_byte_for_byte() {
    let server = Backend::says(OK);
    let more = "routes = [\n{ path = \"/old/\", upstream = \"pool\", rewrite_target = \"/new/\" },\n\
                { path = \"/cut\", upstream = \"pool\", strip_prefix = true },\n\
                { path = \"/\", upstream = \"pool\" } ]";
    let site = Site::before(&[(server.address, "")], more);
    for (asked, arrived) in [
        ("/?a=1&b=%20+c&&d", "/?a=1&b=%20+c&&d"),
        ("/x?", "/x?"),
        ("/x?y=/../z?%zz", "/x?y=/../z?%zz"),
        ("/old/x%2Fy?old=/old/", "/new/x%2Fy?old=/old/"),
        ("/old?q", "/old?q"),
        ("/cut/x?cut=/cut", "/x?cut=/cut"),
        ("/cut?q", "/?q"),
    ] {
        assert_eq!(site.status(asked), 200);
        let line = format!("GET {arrived} HTTP/1.1");
        assert_eq!(server.seen().last(), Some(&line), "{asked}");
    }
}

#[test]
fn a_request_body_never_hangs() {
    let server = Backend::says(OK);
    let site = Site::before(&[(server.address, "")], "");
    for (headers, body) in [
        ("Content-Length: 5\r\n", "12345"),
        ("Content-Length: 0\r\n", ""),
        ("", ""),
        ("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Expect: 100-continue\r\nContent-Length: 3\r\n", "123"),
    ] {
        for method in ["POST", "PUT", "DELETE", "GET"] {
            let request = closing(&format!("{method} /b"), headers) + body;
            let answer = raw(&site, &request);
            assert!(
                answer.contains(" 200 OK\r\n"),
                "{method} {headers}: {answer}"
            );
        }
    }
}

#[test]
fn who_does_not_wait_is_not_waited_for() {
    let server = Backend::start(|head| {
        let asked = head.contains("expect: 100-continue");
        let body = if asked { "asked" } else { "plain" };
        Some(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}").into())
    });
    let site = Site::before(&[(server.address, "")], "");
    let ask = |version: &str, body: &str| {
        let fields = "Expect: 100-continue\r\nContent-Length: 3\r\n";
        let request = closing("POST /b", fields).replace("HTTP/1.1", version);
        raw(&site, &(request + body))
    };
    assert!(ask("HTTP/1.1", "").ends_with("asked"));
    assert!(ask("HTTP/1.1", "abc").ends_with("plain"));
    assert!(ask("HTTP/1.0", "abc").ends_with("plain"));
}

#[test]
fn every_set_cookie_is_kept() {
    let server = Backend::says(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nContent-Length: 0\r\nSet-Cookie: b=2, 3\r\n\
         set-cookie: a=1; Path=/\r\n\r\n",
    );
    let site = Site::before(&[(server.address, "")], "");
    let (head, _) = get(site.address, HOST, "/");
    let cookies: Vec<&str> = head
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| value)
        .collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2, 3", "a=1; Path=/"]);
}

#[test]
fn redirects_are_answers_not_orders() {
    let elsewhere = Backend::says(OK);
    let location = format!("http://{}/x?y=%20", elsewhere.address);
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let server = Backend::start(move |_| Some(answer.clone().into()));
    let site = Site::before(&[(server.address, "")], "");
    let (head, _) = get(site.address, HOST, "/");
    assert_eq!(
        (head.status, head.header("location")),
        (302, Some(&*location))
    );
    assert_eq!(elsewhere.count(), 0);
    let own =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{HOST}/login\r\nContent-Length: 0\r\n\r\n");
    let server = Backend::start(move |_| Some(own.clone().into()));
    let more = "rewrite_redirects = true\nroutes = [{ path = \"/app\", upstream = \"pool\", strip_prefix = true }]";
    let site = Site::before(&[(server.address, "")], more);
    let (head, _) = get(site.address, HOST, "/app/");
    assert_eq!(head.header("location"), Some("/app/login"));
}

#[test]
fn a_stream_is_not_held_back() {
    let (listener, address) = crate::harness::listener();
    let site = Site::before(&[(address, "")], "");
    let mut client = TcpStream::connect(site.address).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    client
        .write_all(closing("GET /events", "").as_bytes())
        .unwrap();
    let (mut upstream, _) = listener.accept().unwrap();
    let mut buffer = [0; 4096];
    assert!(upstream.read(&mut buffer).unwrap() > 0);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    upstream.write_all(head.as_bytes()).unwrap();
    let mut seen = String::new();
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        upstream.write_all(event.as_bytes()).unwrap();
        // It comes before the next one is sent.
        while !seen.contains(event) {
            let count = client.read(&mut buffer).unwrap();
            assert!(count > 0, "{seen}");
            seen += &String::from_utf8_lossy(&buffer[..count]);
        }
    }
}

#[test]
fn a_response_has_one_framing() {
    for (answer, status) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            502,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
    ] {
        let server = Backend::says(answer);
        let site = Site::before(&[(server.address, "")], "");
        let text = raw(&site, &closing("GET /", "")).to_lowercase();
        assert!(text.starts_with(&format!("http/1.1 {status} ")), "{text}");
        let framings = ["content-length:", "transfer-encoding:"].map(|name| text.contains(name));
        assert_ne!(framings, [true, true], "{text}");
    }
}

#[test]
fn a_dead_upstream_is_found_again() {
    let address = free_address();
    let site = Site::before(&[(address, "")], "");
    assert_eq!(site.status("/"), 502);
    let (head, _) = get(site.address, HOST, "/");
    assert_eq!((head.status, head.header("retry-after")), (503, Some("1")));
    let _server = Backend::revive(address, |_| Some(OK.into()));
    wait_for("the upstream to be found", || {
        (site.status("/") == 200).then_some(())
    });
    for _ in 0..10 {
        assert_eq!(site.status("/"), 200);
    }
}

#[test]
fn an_upgrade_needs_an_upstream_that_agrees() {
    let server = Backend::says(OK);
    let site = Site::before(&[(server.address, "")], "");
    let headers = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n");
    assert_eq!(fetch(site.address, &request).0.status, 200);
}
