//! Figures: what was counted stays counted, over reloads and kills.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use crate::client::storm::{Kind, Storm};
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::process::signal;
use crate::harness::{get, runtime, wait_for};

/// All samples that may only grow: of type counter, and the counting parts of histograms.
fn counters(server: &Bws) -> BTreeMap<String, f64> {
    let (status, text) = server.control("GET", "/metrics");
    assert_eq!(status, 200, "{text}");
    let types: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let grows = |name: &str| {
        types.iter().any(|(family, kind)| match *kind {
            "counter" => *family == name,
            "histogram" | "summary" => name.starts_with(family) && !name.ends_with("_sum"),
            _ => false,
        })
    };
    let samples = server.metrics().into_iter();
    samples
        .filter(|(sample, _)| grows(sample.split('{').next().unwrap_or_default()))
        .collect()
}

fn assert_grown(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) {
    for (name, value) in before {
        let after = now
            .get(name)
            .unwrap_or_else(|| panic!("'{name}' has vanished"));
        assert!(after >= value, "'{name}' went from {value} to {after}");
    }
}

/// The sum of all samples of a family that carry all `labels`.
fn sum(samples: &BTreeMap<String, f64>, family: &str, labels: &[&str]) -> f64 {
    let wanted = |name: &&String| {
        name.starts_with(family) && labels.iter().all(|label| name.contains(label))
    };
    samples
        .keys()
        .filter(wanted)
        .map(|name| samples[name])
        .sum()
}

#[test]
fn counters_never_go_backwards() {
    let (demo, server) = Demo::serve(4);
    let mut last = counters(&server);
    let answered = runtime().block_on(async {
        let storm = Storm::start(&demo.target(), &[Kind::Get], 10, Duration::from_millis(2));
        let path = server.config_path();
        for number in 1..=4 {
            crate::harness::write_file(&path, &demo.bws(number));
            let reload = tokio::process::Command::from(server.command(&["reload"]))
                .output()
                .await;
            assert!(reload.unwrap().status.success());
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let now = counters(&server);
                assert_grown(&last, &now);
                last = now;
            }
            let workers = server.workers();
            signal(*workers.last().unwrap(), Signal::KILL);
        }
        let sums = storm.stop().await;
        sums[0].1.count(crate::client::tally::Outcome::Answered)
    });
    wait_for("a worker", || (server.workers().len() == 1).then_some(()));
    let now = counters(&server);
    assert_grown(&last, &now);
    let counted = sum(&now, "bws_requests_total", &["site=\"plain\"", "2xx"]);
    assert!(
        counted >= answered as f64,
        "{answered} answered, {counted} counted: {now:?}"
    );
}

#[test]
fn reloads_are_counted_by_their_outcome() {
    let (demo, server) = Demo::serve(1);
    server.reload_to(&demo.bws(1));
    server.configure("[[sites]\n");
    assert!(!server.reload().status.success());
    let samples: BTreeMap<String, f64> = server.metrics().into_iter().collect();
    assert_eq!(
        samples.get("bws_hot_reload_total{status=\"success\"}"),
        Some(&1.0),
        "{samples:?}"
    );
    assert_eq!(
        samples.get("bws_hot_reload_total{status=\"failed\"}"),
        Some(&1.0),
        "{samples:?}"
    );
    assert!(
        samples
            .keys()
            .any(|name| name.starts_with("bws_worker_spawn_duration_seconds"))
    );
}

#[test]
fn sites_certificates_and_reloads_have_their_figures() {
    let (demo, server) = Demo::serve(1);
    let asked = 5;
    (0..asked).for_each(|_| assert_eq!(demo.served(), 0));
    runtime().block_on(async {
        use crate::client::transport::Endpoint;
        let mut wire =
            crate::client::wire::Wire::new(Endpoint::plain(demo.plain).connect().await.unwrap());
        for _ in 0..10 {
            wire.send(b"GET /small.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await
                .unwrap();
            wire.response().await.unwrap();
        }
    });
    server.reload_to(&demo.bws(1));
    let samples: BTreeMap<String, f64> = server.metrics().into_iter().collect();
    let of = |family: &str| samples.get(&format!("{family}{{site=\"plain\"}}")).copied();
    assert_eq!(
        of("bws_site_connections_total"),
        Some(f64::from(asked + 1)),
        "{samples:?}"
    );
    let sent = f64::from(asked + 10) * crate::client::storm::SMALL as f64;
    assert_eq!(of("bws_site_sent_bytes_total"), Some(sent), "{samples:?}");
    let expiry =
        samples.get("bws_certificate_not_after_seconds{site=\"secure\",key=\"ecdsa-p256\"}");
    assert!(expiry.is_some_and(|at| *at > 1.8e9), "{samples:?}");
    let took = samples.get("bws_hot_reload_duration_seconds");
    assert!(
        took.is_some_and(|took| *took > 0.0 && *took < 20.0),
        "{samples:?}"
    );
}

#[test]
fn a_site_shows_the_page_where_it_is_asked_to() {
    let (demo, server) = Demo::serve(1);
    let shown = |path| get(demo.plain, HOST, path);
    assert_eq!(shown("/figures").0.status, 404);
    let number = demo.bws(1);
    let config = format!("[monitoring]\nmetrics_endpoint = \"/figures\"\n{number}");
    server.reload_to(&config);
    let (head, page) = shown("/figures");
    assert_eq!(head.status, 200);
    let page = String::from_utf8(page).unwrap();
    assert!(
        page.contains("bws_hot_reload_total{status=\"success\"} 1\n"),
        "{page}"
    );
    assert!(page.ends_with('\n') && page.contains("# TYPE bws_requests_total counter"));
    for asked in 0..50 {
        assert_eq!(shown("/figures").0.status, 200, "{asked}");
    }
    assert_eq!(shown("/figures/").0.status, 404);
}
