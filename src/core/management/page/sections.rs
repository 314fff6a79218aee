//! What the status page shows, section by section: what is wrong stands first, and of many things the first ones.

use std::cmp::Reverse;
use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::Snapshot;
use super::html::{Column, Html, Table, Tone, badge, span};
use crate::core::chronicle::Entry;
use crate::core::report::{
    CertificateStatus, GenerationStatus, LastReload, SiteStatus, Status, UpstreamStatus,
    WorkerStatus,
};

/// Rows of a table at most.
const ROWS: usize = 100;
/// Names in a cell at most.
const NAMES: usize = 4;
const DAY: i64 = 86_400;
/// From here on the days of a certificate are counted.
const SOON: i64 = 14;

pub(super) fn write(html: &mut Html, snapshot: &Snapshot, now: u64) {
    let status = &snapshot.status;
    figures(html, snapshot, now);
    reload(html, status, now);
    workers(html, &status.generations);
    upstreams(html, &snapshot.upstreams, now);
    certificates(html, &snapshot.certificates.certificates, now);
    sites(html, &status.sites);
    events(html, snapshot, now);
}

/// The answer to "is all well?", at a glance.
fn figures(html: &mut Html, snapshot: &Snapshot, now: u64) {
    let status = &snapshot.status;
    let workers = || status.generations.iter().flat_map(|it| &it.workers);
    let connections: u64 = workers().map(|worker| worker.connections).sum();
    let requests: u64 = workers().map(|worker| worker.requests_in_flight).sum();
    html.markup("<section id=\"figures\"><ul>");
    figure(html, Tone::Quiet, connections, "connections");
    figure(html, Tone::Quiet, requests, "requests in flight");
    figure(html, Tone::Quiet, workers().count(), "workers");
    let failed = status
        .last_reload
        .as_ref()
        .is_some_and(|last| !last.success);
    let tone = if failed { Tone::Bad } else { Tone::Quiet };
    let reloads = format!("{} + {}", status.reloads.success, status.reloads.failed);
    figure(html, tone, reloads, "reloads + failed");
    if status.upstreams.total > 0 {
        let down = status.upstreams.down;
        let tone = if down > 0 { Tone::Bad } else { Tone::Good };
        let up = format!(
            "{} / {}",
            status.upstreams.total - down,
            status.upstreams.total
        );
        figure(html, tone, up, "upstreams up");
    }
    let certificates = snapshot.certificates.certificates.iter();
    if let Some(least) = certificates.map(|it| days_left(it, now)).min() {
        figure(
            html,
            tone_of_days(least),
            format!("{least} d"),
            "next certificate ends",
        );
    }
    html.markup("</ul></section>");
}

fn figure(html: &mut Html, tone: Tone, value: impl Display, name: &'static str) {
    html.markup("<li>");
    badge(html, tone, value);
    html.markup("<span>").markup(name).markup("</span></li>");
}

fn reload(html: &mut Html, status: &Status, now: u64) {
    let Some(last) = &status.last_reload else {
        return;
    };
    let LastReload {
        at,
        success,
        duration_ms,
        message,
        first,
        errors,
    } = last;
    let title = if *first { "Start" } else { "Last reload" };
    html.markup("<section id=\"reload\"><h2>")
        .markup(title)
        .markup(" ");
    match success {
        true => badge(html, Tone::Good, "succeeded"),
        false => badge(html, Tone::Bad, "failed"),
    }
    html.markup("</h2><p>");
    ago(html, *at, now);
    html.markup(", in ").text(duration_ms).markup(" ms: ");
    html.name(message).markup("</p>");
    if !success && !errors.is_empty() {
        html.markup("<ul class=\"errors\">");
        errors.iter().for_each(|error| problem(html, error));
        html.markup("</ul><p>Version ").text(status.config_version);
        html.markup(" still serves.</p>");
    }
    html.markup("</section>");
}

/// A problem of a file, or what the system said.
fn problem(html: &mut Html, error: &Value) {
    let text = |key| error[key].as_str().filter(|text: &&str| !text.is_empty());
    html.markup("<li>");
    if let Some(file) = text("file") {
        html.markup("<code>").name(file);
        for place in ["line", "column"] {
            if let Some(number) = error[place].as_u64() {
                html.markup(":").text(number);
            }
        }
        html.markup("</code> ");
    }
    let message = text("message").or(error.as_str()).unwrap_or_default();
    html.name(message);
    if let Some(help) = text("help") {
        html.markup("<br><i>").name(help).markup("</i>");
    }
    html.markup("</li>");
}

fn workers(html: &mut Html, generations: &[GenerationStatus]) {
    const COLUMNS: &[Column] = &[
        Column("Worker", false),
        Column("Generation", true),
        Column("Version", true),
        Column("State", false),
        Column("Age", true),
        Column("Connections", true),
        Column("Parked", true),
        Column("In flight", true),
        Column("Requests", true),
    ];
    let all = generations.iter().rev();
    let all = all.flat_map(|it| it.workers.iter().map(move |worker| (it, worker)));
    let all: Vec<_> = all.collect();
    let row = |table: &mut Table<'_>, (of, worker): &(&GenerationStatus, &WorkerStatus)| {
        let tone = match &*worker.state {
            "accepting" => Tone::Good,
            "killed" => Tone::Bad,
            _ => Tone::Busy,
        };
        table
            .text(format_args!("PID {}", worker.pid))
            .text(of.generation)
            .text(of.config_version)
            .cell(|html| badge(html, tone, &worker.state))
            .text(span(worker.age_seconds))
            .text(worker.connections)
            .text(worker.connections_parked)
            .text(worker.requests_in_flight)
            .text(worker.requests);
    };
    table(
        html,
        "<section id=\"workers\"><h2>Workers",
        COLUMNS,
        &all,
        row,
    );
}

fn upstreams(html: &mut Html, all: &[UpstreamStatus], now: u64) {
    const COLUMNS: &[Column] = &[
        Column("Upstream", false),
        Column("State", false),
        Column("Since", true),
        Column("Site", false),
        Column("Pool", false),
        Column("Requests", true),
        Column("Failures", true),
    ];
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by_key(|upstream| upstream.healthy);
    let row = |table: &mut Table<'_>, upstream: &&UpstreamStatus| {
        let tone = match &*upstream.state {
            "up" => Tone::Good,
            "rising" => Tone::Busy,
            _ => Tone::Bad,
        };
        table.name(&upstream.upstream);
        table.cell(|html| {
            badge(html, tone, &upstream.state);
            if let Some(reason) = &upstream.reason {
                html.markup(" ").name(reason);
            }
        });
        table.cell(|html| {
            if let Some(at) = upstream.changed_at {
                ago(html, at, now);
            }
        });
        table.name(&upstream.site).name(&upstream.pool);
        table.text(upstream.requests).text(upstream.failures);
    };
    table(
        html,
        "<section id=\"upstreams\"><h2>Upstreams",
        COLUMNS,
        &all,
        row,
    );
}

fn certificates(html: &mut Html, all: &[CertificateStatus], now: u64) {
    const COLUMNS: &[Column] = &[
        Column("Site", false),
        Column("Names", false),
        Column("Days left", true),
        Column("State", false),
        Column("Source", false),
        Column("Issuer", false),
    ];
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by_key(|certificate| days_left(certificate, now));
    let row = |table: &mut Table<'_>, certificate: &&CertificateStatus| {
        let days = days_left(certificate, now);
        let tone = match &*certificate.state {
            "valid" => tone_of_days(days),
            _ => Tone::Bad,
        };
        table.name(&certificate.site);
        table.cell(|html| names(html, &certificate.names));
        table.cell(|html| {
            if let Ok(at @ 1..) = u64::try_from(certificate.not_after) {
                titled(html, at).text(days).markup("</span>");
            }
        });
        table.cell(|html| {
            badge(html, tone, &certificate.state);
            if certificate.ordering {
                html.markup(" being ordered");
            }
            if let Some(error) = &certificate.last_error {
                html.markup("<br><i>").name(error).markup("</i>");
            }
        });
        table.name(&certificate.source).name(&certificate.issuer);
    };
    table(
        html,
        "<section id=\"certificates\"><h2>Certificates",
        COLUMNS,
        &all,
        row,
    );
}

fn sites(html: &mut Html, all: &[SiteStatus]) {
    const COLUMNS: &[Column] = &[
        Column("Site", false),
        Column("Listener", false),
        Column("Host names", false),
        Column("Requests", true),
    ];
    let mut all: Vec<_> = all.iter().collect();
    if all.len() > ROWS {
        all.sort_by_key(|site| Reverse(site.requests));
    }
    let row = |table: &mut Table<'_>, site: &&SiteStatus| {
        table.name(&site.name).name(&site.listener);
        table
            .cell(|html| names(html, &site.hostnames))
            .text(site.requests);
    };
    table(html, "<section id=\"sites\"><h2>Sites", COLUMNS, &all, row);
}

fn events(html: &mut Html, snapshot: &Snapshot, now: u64) {
    const COLUMNS: &[Column] = &[
        Column("When", true),
        Column("Event", false),
        Column("What happened", false),
    ];
    let row = |table: &mut Table<'_>, entry: &std::sync::Arc<Entry>| {
        let record: Value = serde_json::from_str(&entry.record).unwrap_or_default();
        let tone = match record["level"].as_str() {
            Some("error") => Tone::Bad,
            Some("warn") => Tone::Busy,
            _ => Tone::Quiet,
        };
        let message = record["message"].as_str().unwrap_or_default();
        table
            .cell(|html| ago(html, record["at"].as_u64().unwrap_or(now), now))
            .cell(|html| badge(html, tone, &entry.event))
            .name(message);
    };
    table(
        html,
        "<section id=\"events\"><h2>Events",
        COLUMNS,
        &snapshot.events,
        row,
    );
}

/// A section with a table; none without rows.
fn table<T>(
    html: &mut Html,
    title: &'static str,
    columns: &'static [Column],
    rows: &[T],
    write: impl Fn(&mut Table<'_>, &T),
) {
    if rows.is_empty() {
        return;
    }
    html.markup(title).markup("</h2>");
    let mut table = Table::begin(html, columns);
    rows.iter()
        .take(ROWS)
        .for_each(|row| write(&mut table, row));
    table.end();
    if let Some(more @ 1..) = rows.len().checked_sub(ROWS) {
        html.markup("<p>and ").text(more).markup(" more</p>");
    }
    html.markup("</section>");
}

fn names(html: &mut Html, names: &[String]) {
    for (number, name) in names.iter().take(NAMES).enumerate() {
        if number > 0 {
            html.markup(", ");
        }
        html.name(name);
    }
    if let Some(more @ 1..) = names.len().checked_sub(NAMES) {
        html.markup(" and ").text(more).markup(" more");
    }
}

/// As in "12 s ago", with the date for who points at it.
fn ago(html: &mut Html, at: u64, now: u64) {
    titled(html, at)
        .text(span(now.saturating_sub(at)))
        .markup(" ago</span>");
}

/// Opens a span.
fn titled(html: &mut Html, at: u64) -> &mut Html {
    // Beyond the year 9999 HTTP has no date.
    let time = UNIX_EPOCH + Duration::from_secs(at.min(253_402_300_799));
    html.markup("<span title=\"")
        .text(httpdate::fmt_http_date(time))
        .markup("\">")
}

/// Rounded down; negative when it is over.
fn days_left(certificate: &CertificateStatus, now: u64) -> i64 {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    certificate.not_after.saturating_sub(now).div_euclid(DAY)
}

fn tone_of_days(days: i64) -> Tone {
    match days {
        ..0 => Tone::Bad,
        0..SOON => Tone::Busy,
        _ => Tone::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_to_the_end() {
        let certificate = |not_after| CertificateStatus {
            not_after,
            ..CertificateStatus::default()
        };
        let left = |not_after| days_left(&certificate(not_after), 1_000_000);
        assert_eq!(
            [
                left(1_000_000 + 3 * DAY),
                left(1_000_000 + DAY - 1),
                left(999_999)
            ],
            [3, 0, -1]
        );
        assert_eq!(
            [-1, 0, 13, 14].map(tone_of_days),
            [Tone::Bad, Tone::Busy, Tone::Busy, Tone::Good]
        );
        assert!(left(i64::MAX) > 0 && left(i64::MIN) < 0);
    }

    #[test]
    fn what_is_down_stands_first_and_many_are_cut() {
        let upstream = |number: usize| UpstreamStatus {
            site: "site".into(),
            pool: "pool".into(),
            upstream: format!("u{number}"),
            weight: 1,
            healthy: number != 150,
            state: if number == 150 { "down" } else { "up" }.into(),
            reason: None,
            changed_at: None,
            requests: 0,
            failures: 0,
            retries: 0,
            ejections: 0,
            addresses: Vec::new(),
            service: None,
            priority: None,
        };
        let all: Vec<_> = (0..200).map(upstream).collect();
        let mut html = Html::default();
        upstreams(&mut html, &all, 0);
        let html = html.finish();
        let ill = html.find("u150").unwrap();
        assert!(ill < html.find("u0<").unwrap(), "{html}");
        assert!(html.contains("and 100 more"));
        assert_eq!(html.matches("<tr>").count(), 1 + ROWS);
    }
}
