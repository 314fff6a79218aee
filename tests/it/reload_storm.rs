//! The promise itself: reloads under load, and no client notices.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::storm::{Kind, Storm};
use crate::client::tally::{Event, Tally};
use crate::harness::bws::Bws;
use crate::harness::demo::Demo;
use crate::harness::{PATIENCE, runtime, wait_for};

const RELOADS: u32 = 25;
const INTERVAL: Duration = Duration::from_millis(200);
/// Of each kind, between two reloads: on a busy machine that takes longer than the interval.
const REQUESTS: u64 = 41;
const CLIENTS: u8 = 50;
const KINDS: [Kind; 4] = [Kind::Get, Kind::Post, Kind::Http2, Kind::Fresh];

#[test]
fn a_storm_of_reloads_loses_nothing_when_clients_never_pause() {
    storm(&KINDS, CLIENTS, Duration::ZERO);
}

#[test]
fn a_storm_of_reloads_loses_nothing_when_clients_pause() {
    storm(&KINDS, CLIENTS, Duration::from_millis(2));
}

#[test]
fn a_storm_of_reloads_loses_nothing_over_tls_and_through_the_proxy() {
    storm(
        &[Kind::Tls, Kind::Proxied, Kind::Post],
        20,
        Duration::from_millis(5),
    );
}

fn storm(kinds: &[Kind], clients: u8, think: Duration) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let (demo, server) = Demo::serve(RELOADS);
    let sums = runtime().block_on(async {
        let storm = Storm::start(&demo.target(), kinds, clients, think);
        let begun = Instant::now();
        for number in 1..=RELOADS {
            tokio::time::sleep_until((begun + INTERVAL * number).into()).await;
            progress(&storm, REQUESTS * u64::from(number)).await;
            reload(&demo, &server, number).await;
        }
        tokio::time::sleep(INTERVAL).await;
        storm.stop().await
    });
    sums.iter()
        .for_each(|(kind, tally)| println!("{kind:?}: {tally}"));
    assert_eq!(sums.len(), kinds.len());
    for (kind, tally) in &sums {
        assert_unharmed(*kind, tally);
    }
    assert_eq!(demo.served(), RELOADS, "the last configuration serves");
    wait_for("old workers to leave", || {
        (server.workers().len() == 1).then_some(())
    });
    let (status, _) = server.stop();
    assert!(status.success(), "{status}");
}

/// Until there were so many requests of each kind; whoever is too slow for it fails later, by their number.
async fn progress(storm: &Storm, requests: u64) {
    let begun = Instant::now();
    while storm.progress() < requests && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Two storms at once would starve each other on a small machine.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// By signal and by command in turn.
async fn reload(demo: &Demo, server: &Bws, number: u32) {
    server.configure(&demo.bws(number));
    if number % 2 == 1 && number < RELOADS {
        return server.process.signal(Signal::HUP);
    }
    let output = tokio::process::Command::from(server.command(&["reload"]))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "reload {number}: {output:?}");
}

fn assert_unharmed(kind: Kind, tally: &Tally) {
    assert!(
        tally.requests() > 1000,
        "{kind:?}: hardly any load: {tally}"
    );
    assert_eq!(tally.failures(), 0, "{kind:?}: {tally}");
    assert_eq!(tally.events(Event::ResetWhileIdle), 0, "{kind:?}: {tally}");
    assert_eq!(tally.events(Event::Unprocessed), 0, "{kind:?}: {tally}");
}
