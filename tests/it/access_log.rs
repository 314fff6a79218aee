//! The access log: who asked for what, and how much of it really left.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, fetch, get, listener, runtime, wait_for};
use crate::http2_wire::frames;

struct Logged {
    demo: Demo,
    server: Bws,
    log: PathBuf,
}

impl Logged {
    fn serve(format: &str) -> Self {
        Self::serve_to(format, None)
    }

    fn serve_to(format: &str, file: Option<&str>) -> Self {
        Self::serve_with(format, file, "")
    }

    fn serve_with(format: &str, file: Option<&str>, performance: &str) -> Self {
        let (plain, secure) = (listener(), listener());
        let demo = Demo::new(0, plain.1, secure.1);
        let log = file.map_or_else(|| demo.path().join("access.log"), PathBuf::from);
        let config = format!(
            "[logging]\nlog_requests = true\nformat = \"{format}\"\naccess_log = \"{}\"\n{}",
            log.display(),
            demo.bws(0)
        );
        let config = config.replacen(
            "[performance]\n",
            &format!("[performance]\n{performance}"),
            1,
        );
        let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
        Self { demo, server, log }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The first line with `part` in it, when it has been written.
    fn line(&self, part: &str) -> String {
        wait_for(part, || {
            let text = self.text();
            text.lines()
                .find(|line| line.contains(part))
                .map(String::from)
        })
    }
}

#[test]
fn files_proxied_answers_and_http2_are_logged() {
    let logged = Logged::serve("combined");
    let demo = &logged.demo;
    let request = format!(
        "GET /small.bin?a=b HTTP/1.1\r\nHost: {HOST}\r\nReferer: http://x/\r\nUser-Agent: a\"b\\\r\nConnection: close\r\n\r\n"
    );
    fetch(demo.plain, &request);
    let line = logged.line("/small.bin");
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    let rest = format!(
        "+0000] \"GET /small.bin?a=b HTTP/1.1\" 200 {} \"http://x/\" \"a\\x22b\\x5C\"",
        crate::client::storm::SMALL
    );
    assert!(line.ends_with(&rest), "{line}");
    get(demo.plain, HOST, "/echo/bytes/70000");
    assert!(
        logged
            .line("/echo/bytes")
            .contains(" 200 70000 \"-\" \"-\"")
    );
    get(demo.plain, HOST, "/no-such-file");
    assert!(logged.line("/no-such-file").contains(" 404 "));
    get(demo.plain, "unknown.example", "/elsewhere");
    logged.line("/elsewhere");
    runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        let request = format!("HEAD /large.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        wire.send(request.as_bytes()).await.unwrap();
        wire.receive(true, |_| ()).await.unwrap();
    });
    assert!(logged.line("HEAD /large.bin").contains(" 200 0 "));
    fetch(demo.plain, "GET / HTTP/1.1\r\nbad header\r\n\r\n");
    assert!(
        logged
            .line("\"-\" 400 0 \"-\"")
            .starts_with("127.0.0.1 - - [")
    );
    let kinds = [crate::client::storm::Kind::Http2];
    runtime().block_on(async {
        let target = demo.target();
        let pause = std::time::Duration::from_millis(20);
        let storm = crate::client::storm::Storm::start(&target, &kinds, 1, pause);
        tokio::time::sleep(pause * 10).await;
        storm.stop().await
    });
    logged.line("HTTP/2.0\" 200");
}

#[test]
fn a_download_that_breaks_off_is_logged_with_what_left() {
    const SIZE: u64 = 256 << 20;
    let logged = Logged::serve("json");
    let huge = fs::File::create(logged.demo.root(0).join("huge.bin")).unwrap();
    huge.set_len(SIZE).unwrap();
    runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(logged.demo.plain).connect().await.unwrap());
        let request = format!("GET /huge.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        wire.send(request.as_bytes()).await.unwrap();
        wire.stream.readable().await.unwrap();
    });
    let line: serde_json::Value = serde_json::from_str(&logged.line("/huge.bin")).unwrap();
    let sent = line["bytes"].as_u64().unwrap();
    assert!(sent > 0 && sent < SIZE, "{line}");
    assert_eq!(
        (&line["status"], &line["site"]),
        (&200.into(), &"plain".into())
    );
}

#[test]
fn a_body_that_does_not_come_is_logged_once() {
    const MALFORMED: &str = "bws_requests_malformed_total";
    let logged = Logged::serve_with("common", None, "request_timeout = \"1s\"\n");
    let before = logged.server.metric(MALFORMED);
    let begin = |path: &str| {
        let mut stream = TcpStream::connect(logged.demo.plain).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nabc");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut answer = String::new();
    begin("/echo/count?late")
        .read_to_string(&mut answer)
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    drop(begin("/echo/count?left"));
    let line = logged.line("/echo/count?left");
    assert!(
        line.contains("\"POST /echo/count?left HTTP/1.1\" 499 "),
        "{line}"
    );
    let line = logged.line("/echo/count?late");
    assert!(
        line.ends_with("\"POST /echo/count?late HTTP/1.1\" 408 0"),
        "{line}"
    );
    assert_eq!(logged.text().lines().count(), 2, "{}", logged.text());
    assert_eq!(logged.server.metric(MALFORMED), before);
}

#[test]
fn a_body_that_does_not_come_over_http2_is_logged_with_its_408() {
    let logged = Logged::serve_with("common", None, "request_timeout = \"1s\"\n");
    let mut stream = TcpStream::connect(logged.demo.plain).unwrap();
    let mut post = frames::POST;
    post[2].1 = "/echo/count?late";
    let head = frames::headers(0, 1, &[&post[..], &[("content-length", "10")]].concat());
    let hello = [frames::hello(&[]), head, frames::data(0, 1, b"abc")];
    stream.write_all(&hello.concat()).unwrap();
    let line = logged.line("/echo/count?late");
    assert!(
        line.ends_with("\"POST /echo/count?late HTTP/2.0\" 408 0"),
        "{line}"
    );
}

#[test]
fn logrotate_gets_its_file() {
    let logged = Logged::serve("common");
    get(logged.demo.plain, HOST, "/one");
    logged.line("/one");
    let rotated = logged.log.with_extension("1");
    fs::rename(&logged.log, &rotated).unwrap();
    logged.server.process.signal(Signal::USR1);
    wait_for("the new file", || logged.log.exists().then_some(()));
    get(logged.demo.plain, HOST, "/two");
    logged.line("/two");
    assert!(!fs::read_to_string(rotated).unwrap().contains("/two"));
}

#[test]
fn the_last_lines_of_a_worker_are_written() {
    let logged = Logged::serve("common");
    for number in 0..50 {
        get(logged.demo.plain, HOST, &format!("/last-{number}"));
    }
    let (log, demo) = (logged.log.clone(), logged.demo);
    logged.server.stop();
    let text = fs::read_to_string(log).unwrap();
    assert_eq!(text.matches("/last-").count(), 50);
    drop(demo);
}

#[test]
fn a_full_disk_stops_nobody() {
    let logged = Logged::serve_to("combined", Some("/dev/full"));
    for _ in 0..20 {
        assert_eq!(logged.demo.served(), 0);
    }
    let dropped = || {
        let samples = logged.server.metrics();
        let found = samples
            .iter()
            .find(|(name, _)| name == "bws_access_log_dropped_total");
        found.map_or(0.0, |(_, value)| *value)
    };
    wait_for("the count of lost lines", || {
        (dropped() >= 20.0).then_some(())
    });
    let output = logged.server.process.output();
    let told = output.matches("not in the access log '/dev/full'").count();
    assert_eq!(told, 1, "{output}");
}

#[test]
fn nothing_is_logged_unless_it_is_wanted() {
    let (demo, _server) = Demo::serve(0);
    get(demo.plain, HOST, "/");
    assert!(!demo.path().join("access.log").exists());
}

#[test]
fn warnings_go_to_the_error_log_as_well() {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let log = demo.path().join("error.log");
    let head = format!("[logging]\nerror_log = \"{}\"\n", log.display());
    let config = head + &demo.bws(0);
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    server.configure("[[sites]\n");
    assert!(!server.reload().status.success());
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("ERROR master[") && text.contains("Hot reload: failed"),
        "{text}"
    );
    assert!(!text.contains("INFO"), "{text}");
    assert!(server.process.output().contains("Hot reload: failed"));
}
