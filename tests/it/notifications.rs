//! What systemd is told, in order.

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use crate::harness::demo::Demo;
use crate::harness::wait_for;

const READY: &str = "READY=1";
const RELOADING: &str = "RELOADING=1";
const STOPPING: &str = "STOPPING=1";

fn monotonic_usec() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unwrap()
}

#[test]
fn start_reload_stop() {
    let (demo, server) = Demo::serve(1);
    assert_eq!(server.notify.states(), [READY]);
    let before = monotonic_usec();
    server.reload_to(&demo.bws(1));
    let after = monotonic_usec();
    server.notify.wait_ready(2);
    assert_eq!(server.notify.states(), [READY, RELOADING, READY]);
    let messages = server.notify.messages();
    let reloading = messages
        .iter()
        .find(|text| text.contains(RELOADING))
        .unwrap();
    let stamp = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    let stamp: u64 = stamp.expect("beside RELOADING=1").parse().unwrap();
    assert!(
        (before..=after).contains(&stamp),
        "{before} {stamp} {after}"
    );
    let (status, states) = server.stop();
    assert!(status.success(), "{status}");
    assert_eq!(states, [READY, RELOADING, READY, STOPPING]);
}

#[test]
fn a_failed_reload_is_ready_again() {
    let (_demo, server) = Demo::serve(0);
    server.configure("[[sites]\n");
    assert!(!server.reload().status.success());
    server.notify.wait_ready(2);
    assert_eq!(server.notify.states(), [READY, RELOADING, READY]);
}

#[test]
fn a_signal_tells_the_same() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1));
    server.process.signal(Signal::HUP);
    server.notify.wait_ready(2);
    assert_eq!(server.notify.states(), [READY, RELOADING, READY]);
    assert_eq!(
        demo.served(),
        1,
        "READY means that the new configuration serves"
    );
}

#[test]
fn the_status_line_speaks_to_people() {
    let (demo, server) = Demo::serve(1);
    server.reload_to(&demo.bws(1));
    server.notify.wait_ready(2);
    let messages = server.notify.messages();
    let status = messages
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.starts_with("STATUS="));
    assert!(status.count() >= 2, "{messages:?}");
}

#[test]
fn the_status_line_tells_how_the_last_reload_ended() {
    let (demo, server) = Demo::serve(1);
    let status = || {
        let messages = server.notify.messages();
        let lines: Vec<&str> = messages.iter().flat_map(|text| text.lines()).collect();
        let last = lines
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix("STATUS="));
        last.unwrap_or_default().to_owned()
    };
    wait_for("the first status", || {
        status()
            .contains("with 1 worker (configuration version 1)")
            .then_some(())
    });
    server.configure("[[sites]\n");
    assert!(!server.reload().status.success());
    wait_for("the failure", || {
        let status = status();
        let told = [
            "reload failed",
            "config.toml:1:",
            "still serving version 1, 2 sites on ",
        ];
        told.iter().all(|part| status.contains(part)).then_some(())
    });
    server.reload_to(&demo.bws(1));
    wait_for("the success", || {
        let status = status();
        let told = status.starts_with("serving 2 sites on ") && status.contains("; reloaded at ");
        told.then_some(())
    });
}

#[test]
fn workers_tell_systemd_nothing() {
    let (_demo, server) = Demo::serve(0);
    let worker = server.workers()[0];
    let environment = std::fs::read(format!("/proc/{worker}/environ")).unwrap();
    let text = String::from_utf8_lossy(&environment).into_owned();
    assert!(!text.contains("NOTIFY_SOCKET="), "{text}");
}

#[test]
fn an_interrupt_stops_like_a_termination() {
    let (_demo, mut server) = Demo::serve(0);
    let workers = server.workers();
    server.process.signal(Signal::INT);
    assert!(server.process.wait().success());
    assert_eq!(server.notify.states(), [READY, STOPPING]);
    wait_for("the workers' end", || {
        workers
            .iter()
            .all(|pid| !crate::harness::process::is_alive(*pid))
            .then_some(())
    });
}
