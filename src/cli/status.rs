//! `bws status`.

use crate::core::report::SiteStatus;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use http::Method;

use super::arguments;
use super::certificates;
use super::client;
use super::output::{count, try_print};
use crate::core::report::{CertificateStatus, Certificates, GenerationStatus, LastReload, Status};

const TIMEOUT: Duration = Duration::from_secs(10);
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Clears the screen and goes to its upper left corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

pub(super) fn run(status: &arguments::Status) -> anyhow::Result<ExitCode> {
    let control = status.control.clone();
    loop {
        let answer = client::ask(
            status.control.as_deref(),
            Method::GET,
            "/api/status",
            TIMEOUT,
        )?;
        let text = match status.json {
            true => String::from_utf8_lossy(&answer.body).into_owned(),
            false => {
                let status: Status = serde_json::from_slice(&answer.body)
                    .context("the answer of the master is not understood")?;
                let mut text = table(&status);
                certificates::write(&mut text, &certificates(&control), now());
                text
            }
        };
        let clear = if status.watch && !status.json {
            CLEAR
        } else {
            ""
        };
        let read = try_print(&format!("{clear}{text}"));
        if !status.watch || !read {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

/// None from a master that does not know the question.
fn certificates(control: &Option<PathBuf>) -> Vec<CertificateStatus> {
    let path = "/api/certificates";
    let answer = client::ask(control.as_deref(), Method::GET, path, TIMEOUT).ok();
    let read = answer.and_then(|answer| serde_json::from_slice::<Certificates>(&answer.body).ok());
    read.map(|read| read.certificates).unwrap_or_default()
}

fn now() -> i64 {
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

fn table(status: &Status) -> String {
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = writeln!(
        text,
        "BWS {}, {} for {} (master PID {})",
        status.version,
        status.state,
        span(status.uptime_seconds),
        status.pid
    );
    let _ = writeln!(
        text,
        "configuration version {} from '{}': {} on {}",
        status.config_version,
        status.config_file,
        count(status.sites.len(), "site"),
        listeners(&status.listeners)
    );
    let _ = writeln!(text, "{}", last_reload(status));
    if status.upstreams.total > 0 {
        let _ = writeln!(
            text,
            "{}, {} down",
            count(status.upstreams.total, "upstream server"),
            status.upstreams.down
        );
    }
    write_generations(&mut text, &status.generations);
    write_sites(&mut text, &status.sites);
    text
}

fn write_generations(text: &mut String, generations: &[GenerationStatus]) {
    if generations.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:>10}  {:<9} {:>7}  {:<10} {:>9} {:>11} {:>8}",
        "GENERATION", "STATE", "PID", "WORKER", "AGE", "CONNECTIONS", "REQUESTS"
    );
    for generation in generations {
        write_generation(text, generation);
    }
}

fn write_sites(text: &mut String, sites: &[SiteStatus]) {
    const NAMED: usize = 20;
    if sites.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:>10}  {:<24} {:<28} HOSTNAMES",
        "REQUESTS", "SITE", "LISTENER"
    );
    for site in sites.iter().take(NAMED) {
        let hostnames = listeners(&site.hostnames);
        let SiteStatus {
            name,
            listener,
            requests,
            ..
        } = site;
        let _ = writeln!(
            text,
            "{requests:>10}  {name:<24} {listener:<28} {hostnames}"
        );
    }
    if let Some(more @ 1..) = sites.len().checked_sub(NAMED) {
        let _ = writeln!(text, "{:>10}  and {more} more (bws status --json)", "");
    }
}

fn write_generation(text: &mut String, generation: &GenerationStatus) {
    for worker in &generation.workers {
        let _ = writeln!(
            text,
            "{:>10}  {:<9} {:>7}  {:<10} {:>9} {:>11} {:>8}",
            generation.generation,
            generation.state,
            worker.pid,
            worker.state,
            span(worker.age_seconds),
            worker.connections,
            worker.requests_in_flight
        );
    }
}

fn listeners(all: &[String]) -> String {
    const NAMED: usize = 4;
    let named = all
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn last_reload(status: &Status) -> String {
    let counts = format!(
        "{} succeeded, {} failed",
        count(
            usize::try_from(status.reloads.success).unwrap_or(usize::MAX),
            "reload"
        ),
        status.reloads.failed
    );
    let Some(last) = &status.last_reload else {
        return counts;
    };
    let LastReload {
        at,
        success,
        duration_ms,
        message,
        ..
    } = last;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let age = span(now.saturating_sub(*at));
    let outcome = if *success { "succeeded" } else { "FAILED" };
    format!("{counts}; the last load {outcome} {age} ago in {duration_ms} ms: {message}")
}

/// "12 s", "3 min", "5 h", "8 d".
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_use_the_unit_that_says_most() {
        assert_eq!(
            [span(7), span(120), span(7200), span(172_800)],
            ["7 s", "2 min", "2 h", "2 d"]
        );
    }
}
