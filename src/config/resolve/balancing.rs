//! `[sites.proxy.load_balancing]`, `[sites.proxy.health_check]` and `[sites.proxy.retry]`.

use super::super::defaults;
use super::super::raw::balancing::{self as raw, LoadBalancing, Occasion};
use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::{Balancing, HealthCheck, Retry};
use super::global::is_on;

pub(super) fn balancing(raw: &LoadBalancing) -> Balancing {
    Balancing {
        method: raw.method.unwrap_or(defaults::BALANCING_METHOD),
        sticky_sessions: is_on(raw.sticky_sessions.as_ref(), false),
        queue: raw.queue.unwrap_or(defaults::UPSTREAM_QUEUE),
        queue_timeout: raw
            .queue_timeout
            .unwrap_or(defaults::UPSTREAM_QUEUE_TIMEOUT),
    }
}

/// None when nobody is to be asked.
pub(super) fn health_check(
    raw: Option<raw::HealthCheck>,
    findings: &Findings,
) -> Option<HealthCheck> {
    let raw = raw.filter(|raw| is_on(raw.enabled.as_ref(), true))?;
    if let Some(path) = &raw.path {
        check_target(path, findings);
    }
    Some(HealthCheck {
        path: raw
            .path
            .map_or_else(|| defaults::CHECK_PATH.to_owned(), |path| path.value),
        interval: raw.interval.unwrap_or(defaults::CHECK_INTERVAL),
        timeout: raw.timeout.unwrap_or(defaults::CHECK_TIMEOUT),
        retries: raw.retries.unwrap_or(defaults::CHECK_RETRIES),
        healthy_after: raw.healthy_after.unwrap_or(defaults::CHECK_HEALTHY_AFTER),
    })
}

fn check_target(path: &Located<String>, findings: &Findings) {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !path.value.starts_with('/') || !path.value.bytes().all(fits) {
        let message = format!("\"{}\" cannot be asked for", path.value);
        findings.push(
            Finding::error(message).at(path.place, "").help(
                "write a path that begins with a slash, with other characters percent-encoded",
            ),
        );
    }
}

pub(super) fn retry(raw: &raw::Retry) -> Retry {
    let occasions = raw
        .on
        .as_deref()
        .unwrap_or(&[Occasion::Connect, Occasion::Reset]);
    let status = |occasion: &Occasion| match occasion {
        Occasion::Status(status) => Some(*status),
        _ => None,
    };
    Retry {
        attempts: raw.attempts.unwrap_or(defaults::RETRY_ATTEMPTS),
        on_connect: occasions.contains(&Occasion::Connect),
        on_reset: occasions.contains(&Occasion::Reset),
        on_timeout: occasions.contains(&Occasion::Timeout),
        on_status: occasions.iter().filter_map(status).collect(),
    }
}
