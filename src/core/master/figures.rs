//! The master's figures, and those of its workers, dead and alive, in Prometheus text.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Master;
use super::generation::SiteOutline;
use crate::core::report::ReloadCounts;
use crate::core::supervisor::worker::State;
use crate::ipc::message::{ToWorker, WorkerId};
use crate::ipc::page;
use crate::ipc::shared_page::SharedPage;
use crate::metrics::counters::{Global, SITE_BYTES, SITE_CONNECTIONS};
use crate::metrics::prometheus::{Exposition, Kind};
use crate::metrics::totals::Totals;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Of workers that are gone.
    retired: Totals,
    pub(super) reloads: ReloadCounts,
    last_reload_success: bool,
    /// Of the last reload that succeeded, and of all of them.
    last_reload: Duration,
    reload_time: Duration,
    restarts: u64,
    hung: u64,
    spawns: u64,
    last_spawn: Duration,
    spawn_time: Duration,
}

impl Figures {
    /// Instead of what was summed up so far: everything that was ever counted.
    pub(super) fn count_as_retired(&mut self, totals: Totals) {
        self.retired = totals.without_gauges();
    }

    /// Keeps what a worker counted, in the moment in which its page goes.
    pub(super) fn retire(&mut self, page: &SharedPage, sites: &[SiteOutline]) {
        add_page(&mut self.retired, page, sites);
        self.retired = std::mem::take(&mut self.retired).without_gauges();
    }

    pub(super) fn note_spawn(&mut self, took: Duration) {
        self.spawns += 1;
        self.last_spawn = took;
        self.spawn_time += took;
    }

    /// The boot's configuration is no reload, but it counts as the last one that was loaded.
    pub(super) fn note_reload(&mut self, success: bool, boot: bool, milliseconds: u64) {
        self.last_reload_success = success;
        match success {
            _ if boot => {}
            true => {
                self.reloads.success += 1;
                self.last_reload = Duration::from_millis(milliseconds);
                self.reload_time += self.last_reload;
            }
            false => self.reloads.failed += 1,
        }
    }

    pub(super) fn note_hung(&mut self) {
        self.hung += 1;
    }

    pub(super) fn note_restart(&mut self) {
        self.restarts += 1;
    }
}

fn add_page(totals: &mut Totals, page: &SharedPage, sites: &[SiteOutline]) {
    totals.add_page(page.words(), sites.iter().map(|site| site.name.as_str()));
}

impl Master {
    /// The page for a worker whose site was asked for it.
    pub(super) fn show_metrics(&self, worker: WorkerId) {
        let Some(process) = self.workers.get(&worker) else {
            return;
        };
        let page = page::seal(self.metrics().as_bytes());
        if let Err(error) = &page {
            tracing::warn!("the page of the metrics cannot be made: {error}");
        }
        process.hand(ToWorker::Metrics, page.into_iter().collect());
    }

    /// The page of `GET /metrics`.
    pub(super) fn metrics(&self) -> String {
        let mut page = Exposition::default();
        self.write_reloads(&mut page);
        self.write_workers(&mut page);
        let totals = self.totals();
        write_traffic(&mut page, &totals);
        write_sites(&mut page, &totals);
        self.write_upstreams(&mut page);
        self.write_certificates(&mut page);
        page.finish()
    }

    /// Of all workers, dead and alive.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.figures.retired.clone();
        for process in self.workers.values() {
            let resources = self.generations.get(&process.generation);
            if let (Some(resources), Some(page)) = (resources, &process.page) {
                add_page(&mut totals, page, &resources.outline.sites);
            }
        }
        totals
    }

    fn write_reloads(&self, page: &mut Exposition) {
        let figures = &self.figures;
        let mut reloads = page.family("bws_hot_reload_total", Kind::Counter, "Reloads by outcome.");
        reloads.sample(&[("status", "success")], figures.reloads.success);
        reloads.sample(&[("status", "failed")], figures.reloads.failed);
        page.single(
            "bws_hot_reload_duration_seconds",
            Kind::Gauge,
            "Of the last reload that succeeded: from its request to the end of the old workers' accepting.",
            seconds(figures.last_reload),
        );
        page.single(
            "bws_hot_reload_seconds_total",
            Kind::Counter,
            "The same, summed over all reloads that succeeded.",
            seconds(figures.reload_time),
        );
        page.single(
            "bws_config_version",
            Kind::Gauge,
            "Version of the configuration in force.",
            self.supervisor.version(),
        );
        page.single(
            "bws_config_last_reload_success",
            Kind::Gauge,
            "Whether the configuration loaded last is the one in force.",
            u8::from(figures.last_reload_success),
        );
        let started = self.started_at_ns() / 1_000_000;
        page.single(
            "bws_start_time_seconds",
            Kind::Gauge,
            "Start of the master, seconds since the epoch.",
            seconds(Duration::from_millis(started)),
        );
    }

    fn write_workers(&self, page: &mut Exposition) {
        let figures = &self.figures;
        let mut workers = page.family("bws_workers", Kind::Gauge, "Worker processes by state.");
        for (name, states) in WORKER_STATES {
            let count = self
                .supervisor
                .workers()
                .filter(|(_, worker)| states.contains(&worker.state));
            workers.sample(&[("state", name)], count.count());
        }
        page.single(
            "bws_worker_restarts_total",
            Kind::Counter,
            "Workers that were replaced because they died.",
            figures.restarts,
        );
        page.single(
            "bws_worker_hung_total",
            Kind::Counter,
            "Workers that were killed because they did not answer their heartbeat.",
            figures.hung,
        );
        page.single(
            "bws_worker_spawn_duration_seconds",
            Kind::Gauge,
            "From the start of the last worker to its readiness.",
            seconds(figures.last_spawn),
        );
        page.single(
            "bws_worker_spawns_total",
            Kind::Counter,
            "Workers that became ready.",
            figures.spawns,
        );
        page.single(
            "bws_worker_spawn_seconds_total",
            Kind::Counter,
            "From start to readiness, summed over all workers.",
            seconds(figures.spawn_time),
        );
    }
}

const WORKER_STATES: [(&str, &[State]); 3] = [
    (
        "starting",
        &[State::Spawning, State::Starting, State::Ready],
    ),
    ("accepting", &[State::Accepting]),
    (
        "draining",
        &[
            State::Stopping,
            State::Stopped,
            State::Draining,
            State::Killed,
        ],
    ),
];

fn write_traffic(page: &mut Exposition, totals: &Totals) {
    use Global::{
        AccessLogDropped, BytesReceived, BytesSent, ConnectionsAccepted, ConnectionsOpen,
        ConnectionsParked, RequestsInFlight, RequestsMalformed, TlsHandshakesFailed, TunnelsOpen,
    };
    use Kind::{Counter, Gauge};
    let all = [
        (
            "bws_connections_accepted_total",
            Counter,
            ConnectionsAccepted,
            "Connections accepted.",
        ),
        (
            "bws_connections_open",
            Gauge,
            ConnectionsOpen,
            "Connections open now.",
        ),
        (
            "bws_connections_parked",
            Gauge,
            ConnectionsParked,
            "Open connections that are idle and parked.",
        ),
        (
            "bws_tunnels_open",
            Gauge,
            TunnelsOpen,
            "WebSocket and other upgraded connections open now.",
        ),
        (
            "bws_tls_handshakes_failed_total",
            Counter,
            TlsHandshakesFailed,
            "TLS handshakes that failed.",
        ),
        (
            "bws_requests_malformed_total",
            Counter,
            RequestsMalformed,
            "Requests that belong to no site.",
        ),
        (
            "bws_requests_in_flight",
            Gauge,
            RequestsInFlight,
            "Requests being answered now.",
        ),
        (
            "bws_received_bytes_total",
            Counter,
            BytesReceived,
            "Bytes received from clients.",
        ),
        (
            "bws_sent_bytes_total",
            Counter,
            BytesSent,
            "Bytes sent to clients.",
        ),
        (
            "bws_access_log_dropped_total",
            Counter,
            AccessLogDropped,
            "Lines that are missing in the access log, as the disk was full or too slow.",
        ),
    ];
    for (name, kind, word, help) in all {
        page.single(name, kind, help, totals.global(word));
    }
    write_refused(page, totals);
}

/// What clients were not let do.
fn write_refused(page: &mut Exposition, totals: &Totals) {
    use Global::{ConnectionsFlooding, ConnectionsTooSlow, HeadsTooLarge, TargetsTooLong};
    use Kind::Counter;
    let help = "Requests refused because of 'performance.max_uri_length' (414), 'max_header_size' or 'max_headers' (431).";
    let mut refused = page.family("bws_request_heads_refused_total", Counter, help);
    for (status, word) in [("414", TargetsTooLong), ("431", HeadsTooLarge)] {
        refused.sample(&[("status", status)], totals.global(word));
    }
    let help = "Connections ended because of what the client did: too slow, or frames without end.";
    let mut shed = page.family("bws_connections_shed_total", Counter, help);
    for (reason, word) in [("slow", ConnectionsTooSlow), ("flood", ConnectionsFlooding)] {
        shed.sample(&[("reason", reason)], totals.global(word));
    }
}

fn write_sites(page: &mut Exposition, totals: &Totals) {
    const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    let help = "Requests answered, by site and class of status.";
    let mut requests = page.family("bws_requests_total", Kind::Counter, help);
    for (site, words) in totals.sites() {
        for (class, count) in CLASSES.iter().zip(words).filter(|(_, count)| **count > 0) {
            requests.sample(&[("site", site), ("class", class)], count);
        }
    }
    let families = [
        (
            "bws_site_sent_bytes_total",
            SITE_BYTES,
            "Response body bytes sent, by site.",
        ),
        (
            "bws_site_connections_total",
            SITE_CONNECTIONS,
            "Connections by the site of their first request.",
        ),
    ];
    for (name, word, help) in families {
        let mut family = page.family(name, Kind::Counter, help);
        for (site, words) in totals.sites() {
            family.sample(&[("site", site)], words[word]);
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}
