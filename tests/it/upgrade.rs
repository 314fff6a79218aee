//! A new binary by reload: the master becomes the program that lies on its path, and nobody notices.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use bws::ipc::message::PROTOCOL;

use crate::client::storm::{Kind, Storm};
use crate::client::tally::Event;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::process::{is_alive, title};
use crate::harness::{PATIENCE, install, listener, runtime, wait_for};

const KINDS: [Kind; 5] = [Kind::Get, Kind::Post, Kind::Tls, Kind::Http2, Kind::Fresh];
const CLIENTS: u8 = 10;

fn serve(last: u32) -> (Demo, Bws, PathBuf) {
    let (demo, server) = Demo::serve_copy(last, str::to_owned);
    let program = demo.path().join("bws");
    (demo, server, program)
}

/// The same program under another version: it does not understand the former one's configurations.
fn of_version(program: &[u8], version: &str) -> Vec<u8> {
    let own = PROTOCOL.split_once('+').expect("a version and a number").1;
    let (from, to) = (PROTOCOL.as_bytes(), format!("{version}+{own}"));
    assert_eq!(from.len(), to.len());
    let mut bytes = program.to_vec();
    let mut at = 0;
    let mut found = 0;
    while let Some(offset) = memchr::memmem::find(&bytes[at..], from) {
        at += offset;
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        found += 1;
    }
    assert!(found > 0, "the program does not name its protocol");
    bytes
}

fn status(server: &Bws) -> serde_json::Value {
    let (code, body) = server.control("GET", "/api/status");
    assert_eq!(code, 200);
    serde_json::from_str(&body).unwrap()
}

fn requests(server: &Bws) -> f64 {
    let all = server.metrics();
    let of_sites = all
        .iter()
        .filter(|(name, _)| name.starts_with("bws_requests_total"));
    of_sites.map(|(_, value)| value).sum()
}

async fn reload(server: &Bws) -> String {
    let output = tokio::process::Command::from(server.command(&["reload"]))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn new_versions_take_over_under_load() {
    let (demo, server, program) = serve(6);
    let original = fs::read(&program).unwrap();
    let started = status(&server);
    let sums = runtime().block_on(async {
        let storm = Storm::start(&demo.target(), &KINDS, CLIENTS, Duration::from_millis(2));
        let mut counted = 0.0;
        for number in 1..=6_u32 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let version = format!("0.2.{number}");
            // Another version, and another file of the same version, in turn.
            install(&program, &of_version(&original, &version), 0o755);
            server.configure(&demo.bws(number));
            let said = reload(&server).await;
            assert!(
                said.contains(&format!("version {} serves", number + 1)),
                "{said}"
            );
            let status = status(&server);
            assert_eq!(status["version"], version);
            assert_eq!(status["pid"], server.process.pid());
            assert_eq!(status["config_version"], number + 1);
            assert_eq!(status["reloads"]["success"], number);
            assert_eq!(status["last_reload"]["success"], true);
            let now = requests(&server);
            assert!(now > counted, "{counted} requests were counted, now {now}");
            counted = now;
        }
        storm.stop().await
    });
    for (kind, tally) in &sums {
        println!("{kind:?}: {tally}");
        assert!(tally.requests() > 100, "{kind:?}: hardly any load: {tally}");
        assert_eq!(tally.failures(), 0, "{kind:?}: {tally}");
        assert_eq!(tally.events(Event::ResetWhileIdle), 0, "{kind:?}: {tally}");
    }
    assert_eq!(demo.served(), 6);
    assert_eq!(
        title(server.process.pid()).split(" --").next(),
        Some("bws: master")
    );
    let uptime = |status: &serde_json::Value| status["uptime_seconds"].as_u64().unwrap();
    assert!(
        uptime(&status(&server)) > uptime(&started),
        "the start is still the start"
    );
    wait_for("old workers to leave", || {
        let generations = status(&server)["generations"].as_array().map(Vec::len);
        (server.workers().len() == 1 && generations == Some(1)).then_some(())
    });
    let (exit, states) = server.stop();
    assert!(exit.success(), "{exit}");
    let reload = ["RELOADING=1", "READY=1"];
    let expected: Vec<&str> = std::iter::once("READY=1")
        .chain(reload.into_iter().cycle().take(12))
        .chain(std::iter::once("STOPPING=1"))
        .collect();
    assert_eq!(states, expected);
}

#[test]
fn a_signal_becomes_another_file_of_the_same_version() {
    let (demo, server, program) = serve(1);
    let mut other = fs::read(&program).unwrap();
    other.push(0);
    install(&program, &other, 0o755);
    server.configure(&demo.bws(1));
    server.process.signal(Signal::HUP);
    server.notify.wait_ready(2);
    assert_eq!(demo.served(), 1);
    let running = fs::read(format!("/proc/{}/exe", server.process.pid())).unwrap();
    assert_eq!(running.len(), other.len(), "the new file runs");
    // The plan is known: the old configuration was understood.
    server.reload_to(&demo.bws(0));
    assert_eq!(status(&server)["config_version"], 3);
    server.notify.wait_ready(3);
    assert_eq!(
        server.notify.states(),
        [
            "READY=1",
            "RELOADING=1",
            "READY=1",
            "RELOADING=1",
            "READY=1"
        ]
    );
}

#[test]
fn a_draining_worker_is_not_forgotten() {
    let (demo, server, program) = serve(2);
    let mut stream = TcpStream::connect(demo.plain).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabc"
    )
    .unwrap();
    wait_for("the request", || {
        let all = server.metrics();
        let flying = all
            .iter()
            .find(|(name, _)| name == "bws_requests_in_flight");
        flying.is_some_and(|(_, count)| *count > 0.0).then_some(())
    });
    let first = server.workers()[0];
    server.reload_to(&demo.bws(1));
    install(
        &program,
        &of_version(&fs::read(&program).unwrap(), "0.2.0"),
        0o755,
    );
    server.reload_to(&demo.bws(2));
    assert!(is_alive(first), "it still has a request");
    assert!(status(&server)["generations"].as_array().unwrap().len() >= 2);
    stream.write_all(b"def").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    wait_for("old workers to leave", || {
        let generations = status(&server)["generations"].clone();
        (server.workers().len() == 1 && generations.as_array().unwrap().len() == 1).then_some(())
    });
    assert!(!is_alive(first));
}

#[test]
fn a_worker_of_the_old_version_is_replaced_when_the_new_one_serves_nothing_yet() {
    let (demo, server, program) = serve(1);
    install(
        &program,
        &of_version(&fs::read(&program).unwrap(), "0.2.0"),
        0o755,
    );
    let worker = server.workers()[0];
    crate::harness::process::signal(worker, Signal::KILL);
    wait_for("another worker", || {
        let workers = server.workers();
        (workers.len() == 1 && workers[0] != worker).then_some(())
    });
    assert_eq!(demo.served(), 0);
    server.reload_to(&demo.bws(1));
    assert_eq!(demo.served(), 1);
}

#[test]
fn who_asks_meanwhile_is_answered() {
    let (demo, server, program) = serve(1);
    let original = fs::read(&program).unwrap();
    // One that never says what it wants, and is not waited for.
    let _silent = UnixStream::connect(demo.path().join("control.sock")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Else a failure below would wait for the asking for ever.
        let ending = OnDrop(|| stop.store(true, Ordering::Relaxed));
        let asking = scope.spawn(|| {
            let mut answers = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(status(&server)["pid"], server.process.pid());
                answers += 1;
            }
            answers
        });
        for number in 0..4_u32 {
            let version = format!("0.2.{number}");
            install(&program, &of_version(&original, &version), 0o755);
            server.reload_to(&demo.bws(number % 2));
            assert_eq!(status(&server)["version"], version);
        }
        drop(ending);
        assert!(asking.join().unwrap() > 4);
    });
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_failed_reload_after_the_takeover_leaves_the_old_workers_and_their_program() {
    let (demo, server, program) = serve(1);
    install(
        &program,
        &of_version(&fs::read(&program).unwrap(), "0.2.0"),
        0o755,
    );
    let (_held, taken) = listener();
    let broken = demo
        .bws(1)
        .replacen(&demo.plain.to_string(), &taken.to_string(), 1);
    server.configure(&broken);
    let output = server.reload();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{output:?}");
    assert!(said.contains("is taken by"), "{said}");
    let status = status(&server);
    assert_eq!(status["version"], "0.2.0");
    assert_eq!(status["config_version"], 1);
    assert_eq!(demo.served(), 0);
    // Its successor reads the old configuration, which only the old program can.
    let worker = server.workers()[0];
    crate::harness::process::signal(worker, Signal::KILL);
    wait_for("another worker", || {
        let workers = server.workers();
        (workers.len() == 1 && workers[0] != worker).then_some(())
    });
    assert_eq!(demo.served(), 0);
    assert!(title(server.workers()[0]).contains("bws: worker (generation 1)"));
    server.reload_to(&demo.bws(1));
    assert_eq!(demo.served(), 1);
    assert_eq!(demo.config_version(), 2);
}
