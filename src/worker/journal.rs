//! What a worker tells the operator: each function is one event of `systemd::events`.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::proxy::Change;
use crate::systemd::events::tell;

/// What may happen ten times a second on each thread is told once in this time.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

pub fn cannot_accept(error: &io::Error) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    if is_due(
        &mut TOLD.lock().unwrap_or_else(PoisonError::into_inner),
        Instant::now(),
    ) {
        let reason = error.to_string();
        tell!(
            RESOURCES_EXHAUSTED,
            BWS_REASON = reason;
            "resources are exhausted: cannot accept connections: {reason}: raise LimitNOFILE= of bws.service; they wait"
        );
    }
}

pub fn client_refused(client: Option<SocketAddr>, reason: &str) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    if is_due(
        &mut TOLD.lock().unwrap_or_else(PoisonError::into_inner),
        Instant::now(),
    ) {
        let client = client.map_or_else(String::new, |client| client.ip().to_string());
        tell!(CLIENT_REFUSED, BWS_REASON = reason; "client '{client}' is refused: {reason}");
    }
}

fn is_due(told: &mut Option<Instant>, now: Instant) -> bool {
    let due = told.is_none_or(|told| now.duration_since(told) >= REPEAT_AFTER);
    if due {
        *told = Some(now);
    }
    due
}

pub fn master_lost() {
    tell!(MASTER_LOST; "the master is gone: draining");
}

pub fn drained() {
    tell!(WORKER_DRAINED; "graceful shutdown complete");
}

pub fn access_log_lost(file: &Path, count: u64, reason: &str) {
    let file = file.display().to_string();
    tell!(
        ACCESS_LOG_LOST,
        BWS_FILE = file,
        BWS_COUNT = count;
        "{count} requests are not in the access log '{file}': {reason}"
    );
}

pub fn upstream_changed(change: &Change<'_>) {
    let Change {
        site,
        pool,
        upstream,
        down,
    } = *change;
    match down {
        Some(cause) => {
            let reason = cause.text();
            tell!(
                UPSTREAM_DOWN,
                BWS_SITE = site,
                BWS_POOL = pool,
                BWS_UPSTREAM = upstream,
                BWS_REASON = reason;
                "upstream '{upstream}' ('{pool}' of site '{site}') is down: {reason}"
            );
        }
        None => tell!(
            UPSTREAM_BACK,
            BWS_SITE = site,
            BWS_POOL = pool,
            BWS_UPSTREAM = upstream;
            "upstream '{upstream}' ('{pool}' of site '{site}') is back"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_told_once_a_minute() {
        let (mut told, start) = (None, Instant::now());
        let said = |second: &u64| is_due(&mut told, start + Duration::from_secs(*second));
        assert_eq!(
            [0, 1, 59, 60, 61, 200]
                .iter()
                .copied()
                .filter(said)
                .collect::<Vec<_>>(),
            [0, 60, 200]
        );
    }
}
