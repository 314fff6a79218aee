//! The tables of the status page: what is wrong stands first, and of many things the first ones.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::Value;

use super::html::{Column, Html, Table, Tone, badge};
use super::time::{ago, days_left, span, titled, tone_of_days};
use crate::core::chronicle::Entry;
use crate::core::report::{
    CertificateStatus, GenerationStatus, SiteStatus, UpstreamStatus, WorkerStatus,
};

/// Rows of a table at most.
const ROWS: usize = 100;
/// Names in a cell at most.
const NAMES: usize = 4;

pub(super) fn workers(html: &mut Html, generations: &[GenerationStatus]) {
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

pub(super) fn upstreams(html: &mut Html, all: &[UpstreamStatus], now: u64) {
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

pub(super) fn certificates(html: &mut Html, all: &[CertificateStatus], now: u64) {
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

pub(super) fn sites(html: &mut Html, all: &[SiteStatus]) {
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

/// The newest first.
pub(super) fn events(html: &mut Html, all: &[Arc<Entry>], now: u64) {
    const COLUMNS: &[Column] = &[
        Column("When", true),
        Column("Event", false),
        Column("What happened", false),
    ];
    let row = |table: &mut Table<'_>, entry: &Arc<Entry>| {
        let record: Value = serde_json::from_str(&entry.record).unwrap_or_default();
        let tone = match record["level"].as_str() {
            Some("error") => Tone::Bad,
            Some("warn") => Tone::Busy,
            _ => Tone::Quiet,
        };
        table
            .cell(|html| ago(html, record["at"].as_u64().unwrap_or(now), now))
            .cell(|html| badge(html, tone, &entry.event))
            .cell(|html| message(html, record["message"].as_str().unwrap_or_default()));
    };
    table(html, "<section id=\"events\"><h2>Events", COLUMNS, all, row);
}

/// Of several lines, the first one; the others for who wants to know.
fn message(html: &mut Html, message: &str) {
    match message.split_once('\n') {
        None => {
            html.name(message);
        }
        Some((first, _)) => {
            html.markup("<details><summary>").name(first);
            html.markup("</summary><pre>").text(message);
            html.markup("</pre></details>");
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
