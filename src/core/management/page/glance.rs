//! The answer to "is all well?": a few figures, and how the last reload ended.

use std::fmt::Display;

use serde_json::Value;

use super::Snapshot;
use super::html::{Html, Tone, badge};
use super::time::{ago, days_left, tone_of_days};
use crate::core::report::{LastReload, Status};

pub(super) fn figures(html: &mut Html, snapshot: &Snapshot, now: u64) {
    let status = &snapshot.status;
    let workers = || status.generations.iter().flat_map(|it| &it.workers);
    let connections: u64 = workers().map(|worker| worker.connections).sum();
    let requests: u64 = workers().map(|worker| worker.requests_in_flight).sum();
    html.markup("<section id=\"figures\"><ul>");
    figure(html, Tone::Quiet, connections, "connections");
    figure(html, Tone::Quiet, requests, "requests in flight");
    figure(html, Tone::Quiet, workers().count(), "workers");
    figure(html, Tone::Quiet, status.reloads.success, "reloads");
    if status.reloads.failed > 0 {
        let last = status.last_reload.as_ref();
        let tone = match last.is_some_and(|last| last.success) {
            true => Tone::Quiet,
            false => Tone::Bad,
        };
        figure(html, tone, status.reloads.failed, "failed reloads");
    }
    if status.upstreams.total > 0 {
        let down = status.upstreams.down;
        let tone = if down > 0 { Tone::Bad } else { Tone::Good };
        let total = status.upstreams.total;
        let up = format!("{} / {total}", total.saturating_sub(down));
        figure(html, tone, up, "upstreams up");
    }
    let certificates = snapshot.certificates.certificates.iter();
    let got = certificates.filter(|certificate| certificate.not_after > 0);
    if let Some(least) = got.map(|certificate| days_left(certificate, now)).min() {
        let tone = tone_of_days(least);
        figure(html, tone, format!("{least} d"), "next certificate ends");
    }
    html.markup("</ul></section>");
}

fn figure(html: &mut Html, tone: Tone, value: impl Display, name: &'static str) {
    html.markup("<li>");
    badge(html, tone, value);
    html.markup("<span>").markup(name).markup("</span></li>");
}

pub(super) fn reload(html: &mut Html, status: &Status, now: u64) {
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
