//! Hung processes: a worker that does not turn is replaced, and the service manager's watchdog knows the truth.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::bws::Bws;
use crate::harness::demo::Demo;
use crate::harness::process::{is_alive, signal};
use crate::harness::{listener, wait_for};

const WATCHDOG: Duration = Duration::from_secs(6);

fn serve(last: u32) -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(last, plain.1, secure.1);
    let microseconds = WATCHDOG.as_micros().to_string();
    let server = Bws::start_with(
        demo.path(),
        &demo.bws(0),
        vec![plain.0, secure.0],
        &[("WATCHDOG_USEC", &microseconds)],
    );
    (demo, server)
}

fn fed(server: &Bws) -> usize {
    let messages = server.notify.messages();
    let is_alive = |text: &&String| text.lines().any(|line| line == "WATCHDOG=1");
    messages.iter().filter(is_alive).count()
}

#[test]
fn a_stopped_worker_is_replaced_within_the_watchdog() {
    let (demo, server) = serve(0);
    let stopped = server.workers()[0];
    signal(stopped, Signal::STOP);
    let since = Instant::now();
    wait_for("a successor", || {
        let workers = server.workers();
        (workers.len() == 1 && workers[0] != stopped).then_some(())
    });
    assert!(since.elapsed() < WATCHDOG, "{:?}", since.elapsed());
    assert_eq!(demo.served(), 0);
    assert!(!is_alive(stopped));
    let log = server.process.output();
    assert!(log.contains("has not answered its heartbeat"), "{log}");
    let hung = server
        .metrics()
        .into_iter()
        .find(|(name, _)| name == "bws_worker_hung_total");
    assert_eq!(hung.map(|(_, value)| value), Some(1.0));
    let before = fed(&server);
    wait_for("the watchdog to be fed", || {
        (fed(&server) > before).then_some(())
    });
}

#[test]
fn an_old_worker_that_stopped_does_not_stay() {
    let (demo, server) = serve(1);
    let stopped = server.workers()[0];
    signal(stopped, Signal::STOP);
    server.reload_to(&demo.bws(1));
    assert_eq!(demo.served(), 1);
    wait_for("the old worker's end", || {
        (!is_alive(stopped)).then_some(())
    });
    assert_eq!(server.workers().len(), 1);
}

#[test]
fn a_stopped_master_feeds_nobody() {
    let (demo, server) = serve(0);
    wait_for("the watchdog to be fed", || {
        (fed(&server) > 0).then_some(())
    });
    assert_eq!(demo.served(), 0);
    server.process.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(100));
    let before = fed(&server);
    std::thread::sleep(WATCHDOG / 2);
    assert_eq!(fed(&server), before, "a stopped process says nothing");
    assert_eq!(demo.served(), 0, "its workers serve");
    server.process.signal(Signal::CONT);
    wait_for("the watchdog to be fed", || {
        (fed(&server) > before).then_some(())
    });
    assert_eq!(
        server.workers().len(),
        1,
        "no worker was killed for the master's sleep"
    );
}
