//! `[sites.proxy.load_balancing]`.

use super::super::defaults;
use super::super::raw::balancing::LoadBalancing;
use super::super::types::{Balancing, Retry};

pub(super) fn resolve(raw: &LoadBalancing) -> Balancing {
    Balancing {
        method: raw.method.unwrap_or(defaults::BALANCING_METHOD),
        sticky_sessions: false,
        queue: raw.queue.unwrap_or(defaults::UPSTREAM_QUEUE),
        queue_timeout: raw
            .queue_timeout
            .unwrap_or(defaults::UPSTREAM_QUEUE_TIMEOUT),
    }
}

pub(super) fn retry() -> Retry {
    Retry {
        attempts: defaults::RETRY_ATTEMPTS,
        on_connect: true,
        on_reset: true,
        on_timeout: false,
        on_status: Vec::new(),
    }
}
