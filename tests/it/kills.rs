//! Processes that are killed: a worker under load, and the master.

use std::time::Duration;

use rustix::process::Signal;

use crate::client::storm::{Kind, Storm};
use crate::client::tally::{Event, Outcome, Tally};
use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::demo::{Demo, HOST};
use crate::harness::process::{is_alive, signal};
use crate::harness::{runtime, wait_for};

const CLIENTS: u8 = 20;
const KILLS: u64 = 3;
/// How long a worker serves before it is killed.
const LOADED: Duration = Duration::from_millis(500);

#[test]
fn a_killed_worker_costs_only_what_it_had_in_flight() {
    let (demo, mut server) = Demo::serve(0);
    let version = demo.config_version();
    let target = demo.target();
    let (begin, begun) = std::sync::mpsc::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let load = std::thread::spawn(move || {
        runtime().block_on(async {
            let storm = Storm::start(
                &target,
                &[Kind::Get, Kind::Http2],
                CLIENTS,
                Duration::from_millis(2),
            );
            begin.send(()).unwrap();
            let _ = ended.await;
            storm.stop().await
        })
    });
    begun.recv().unwrap();
    for _ in 0..KILLS {
        let killed = server.workers();
        assert_eq!(killed.len(), 1);
        std::thread::sleep(LOADED);
        signal(killed[0], Signal::KILL);
        wait_for("the worker's successor", || {
            let workers = server.workers();
            (workers.len() == 1 && workers != killed).then_some(())
        });
        assert_eq!(demo.served(), 0);
    }
    drop(end);
    for (kind, tally) in load.join().unwrap() {
        assert_only_in_flight_lost(kind, &tally);
    }
    assert_eq!(demo.config_version(), version);
    assert!(server.process.exit_status().is_none());
}

fn assert_only_in_flight_lost(kind: Kind, tally: &Tally) {
    assert!(tally.requests() > 100, "{kind:?}: hardly any load: {tally}");
    let mut lost: u64 = [Outcome::Reset, Outcome::Lost, Outcome::Truncated]
        .map(|fate| tally.count(fate))
        .iter()
        .sum();
    if kind == Kind::Http2 {
        // A TLS handshake that was under way.
        lost += tally.count(Outcome::Refused);
    }
    assert_eq!(tally.failures(), lost, "{kind:?}: {tally}");
    assert!(lost <= u64::from(CLIENTS) * KILLS, "{kind:?}: {tally}");
    assert!(
        tally.events(Event::ConnectionOpened) > u64::from(CLIENTS),
        "no connection died: {tally}"
    );
}

#[test]
fn fresh_connections_are_not_refused_while_a_worker_is_replaced() {
    let (demo, server) = Demo::serve(0);
    let killed = server.workers();
    signal(killed[0], Signal::KILL);
    // Queued by the kernel until the successor accepts; each has to be answered.
    (0..50).for_each(|_| assert_eq!(demo.served(), 0));
    assert_ne!(server.workers(), killed);
}

#[test]
fn a_crash_loop_is_slowed_down_and_never_given_up() {
    let (demo, server) = Demo::serve(0);
    for _ in 0..6 {
        let worker = wait_for("a worker", || server.workers().first().copied());
        signal(worker, Signal::KILL);
        wait_for("its end", || {
            (!server.workers().contains(&worker)).then_some(())
        });
    }
    assert_eq!(demo.served(), 0);
}

#[test]
fn workers_leave_when_their_master_is_killed_but_finish_first() {
    /// Far more than the sockets on the way can hold.
    const SIZE: u64 = 128 << 20;
    let (demo, mut server) = Demo::serve(0);
    let huge = std::fs::File::create(demo.root(0).join("huge.bin")).unwrap();
    huge.set_len(SIZE).unwrap();
    let workers = server.workers();
    runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        let request = format!("GET /huge.bin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        wire.send(request.as_bytes()).await.unwrap();
        // The answer has begun and most of it is still to be made.
        wire.stream.readable().await.unwrap();
        server.process.signal(Signal::KILL);
        server.process.wait();
        let mut seen = 0;
        wire.receive(false, |part| seen += part.len() as u64)
            .await
            .unwrap();
        assert_eq!(seen, SIZE);
    });
    wait_for("the workers to leave", || {
        workers.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
}
