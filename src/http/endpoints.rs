//! `/health` and its kin, on every site.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::body::Body;
use super::service::Shared;
use crate::config::types::Monitoring;
use crate::metrics::prometheus;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Health,
    Detailed,
    Live,
    Ready,
}

/// The endpoint that lies at exactly `path`.
pub(super) fn find(monitoring: &Monitoring, path: &str) -> Option<Endpoint> {
    if !monitoring.enabled {
        return None;
    }
    match path {
        "/api/health" => Some(Endpoint::Health),
        "/api/health/detailed" => Some(Endpoint::Detailed),
        "/api/health/live" => Some(Endpoint::Live),
        "/api/health/ready" => Some(Endpoint::Ready),
        _ if path == monitoring.health_endpoint => Some(Endpoint::Health),
        _ if path == monitoring.detailed_endpoint => Some(Endpoint::Detailed),
        _ => None,
    }
}

/// Whether the page of all figures lies at `path`.
pub(super) fn is_metrics(monitoring: &Monitoring, path: &str) -> bool {
    monitoring.enabled && monitoring.metrics_endpoint.as_deref() == Some(path)
}

/// That page; None: it could not be had.
pub(super) fn show_metrics(
    page: Option<Bytes>,
    method: &Method,
    base: &HeaderMap,
) -> Response<Body> {
    match page {
        Some(page) => respond(StatusCode::OK, prometheus::CONTENT_TYPE, page, method, base),
        None => {
            let text = Bytes::from_static(b"The figures cannot be had at the moment.\n");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let mut response = respond(status, "text/plain; charset=utf-8", text, method, base);
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}

/// Answers GET and HEAD on top of the headers in `base`.
pub(super) fn answer(
    endpoint: Endpoint,
    method: &Method,
    shared: &Shared,
    ready: bool,
    base: &HeaderMap,
) -> Response<Body> {
    let (status, value) = match endpoint {
        Endpoint::Health => (StatusCode::OK, health(shared)),
        Endpoint::Detailed => (StatusCode::OK, detailed(shared, ready)),
        Endpoint::Live => (StatusCode::OK, json!({"status": "alive"})),
        Endpoint::Ready if ready => (StatusCode::OK, json!({"status": "ready"})),
        Endpoint::Ready => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({"status": "not ready"}),
        ),
    };
    let text = Bytes::from(value.to_string());
    respond(status, "application/json", text, method, base)
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    text: Bytes,
    method: &Method,
    base: &HeaderMap,
) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.clone_from(base);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    if method != Method::HEAD {
        *response.body_mut() = Body::Full(text);
    }
    response
}

fn health(shared: &Shared) -> serde_json::Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let identity = &shared.identity;
    json!({
        "status": "healthy",
        "service": shared.config.server.name,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": now.saturating_sub(Duration::from_nanos(identity.started_at_ns)).as_secs(),
        "timestamp": rfc3339(now.as_secs()),
        "config_version": identity.config_version,
        "config_hash": shared.config.hash,
        "generation": identity.generation,
    })
}

fn detailed(shared: &Shared, ready: bool) -> serde_json::Value {
    let mut value = health(shared);
    value["ready"] = json!(ready);
    value["pid"] = json!(std::process::id());
    value["sites"] = json!(shared.config.sites.len());
    value["listeners"] = json!(shared.config.listeners.len());
    value["certificates_missing"] = json!(shared.config.certificates.placeholders());
    value["worker_threads"] = json!(shared.config.performance.worker_threads);
    value
}

/// `2026-01-31T08:00:00Z` from seconds since the epoch (the civil calendar from days, with eras of 400 years).
pub(super) fn rfc3339(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_follow_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_767_225_599), "2025-12-31T23:59:59Z");
    }

    #[test]
    fn only_exact_paths_are_endpoints() {
        let monitoring = Monitoring {
            enabled: true,
            health_endpoint: "/up".into(),
            detailed_endpoint: "/up/all".into(),
            metrics_endpoint: None,
        };
        assert_eq!(find(&monitoring, "/up"), Some(Endpoint::Health));
        assert_eq!(find(&monitoring, "/api/health"), Some(Endpoint::Health));
        assert_eq!(find(&monitoring, "/up/"), None);
        assert_eq!(find(&monitoring, "/health"), None);
        assert_eq!(
            find(
                &Monitoring {
                    enabled: false,
                    ..monitoring
                },
                "/up"
            ),
            None
        );
    }
}
