//! `[sites.proxy.load_balancing]`, `[sites.proxy.health_check]` and `[sites.proxy.retry]`.

use std::time::Duration;

use super::super::defaults::{
    CHECK_COUNT_RANGE, CHECK_TIME_RANGE, RETRY_ATTEMPTS_RANGE, SHORT_TIMEOUT_RANGE,
    UPSTREAM_QUEUE_RANGE,
};
use super::super::reader::Table;
use super::super::source::Located;
use super::super::types::BalancingMethod;

/// Smooth weighted round robin serves the first two words: equal weights are a plain round robin.
const METHODS: [(&str, BalancingMethod); 6] = [
    ("round_robin", BalancingMethod::RoundRobin),
    ("weighted", BalancingMethod::RoundRobin),
    ("least_connections", BalancingMethod::LeastConnections),
    ("least_conn", BalancingMethod::LeastConnections),
    ("ip_hash", BalancingMethod::IpHash),
    ("random_two", BalancingMethod::RandomTwo),
];

#[derive(Debug, Default)]
pub(in crate::config) struct LoadBalancing {
    pub(in crate::config) method: Option<BalancingMethod>,
    pub(in crate::config) sticky_sessions: Option<Located<bool>>,
    pub(in crate::config) queue: Option<u32>,
    pub(in crate::config) queue_timeout: Option<Duration>,
}

impl LoadBalancing {
    pub(super) fn read(table: Table<'_>) -> Self {
        let balancing = Self {
            method: table.choice("method", &METHODS),
            sticky_sessions: table.boolean("sticky_sessions"),
            queue: table.small("queue", UPSTREAM_QUEUE_RANGE),
            queue_timeout: table.duration("queue_timeout", SHORT_TIMEOUT_RANGE),
        };
        table.finish();
        balancing
    }
}

#[derive(Debug)]
pub(in crate::config) struct HealthCheck {
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) path: Option<Located<String>>,
    pub(in crate::config) interval: Option<Duration>,
    pub(in crate::config) timeout: Option<Duration>,
    pub(in crate::config) retries: Option<u32>,
    pub(in crate::config) healthy_after: Option<u32>,
}

impl HealthCheck {
    pub(super) fn read(table: Table<'_>) -> Self {
        let check = Self {
            enabled: table.boolean("enabled"),
            path: table.string("path"),
            interval: table.duration("interval", CHECK_TIME_RANGE),
            timeout: table.duration("timeout", CHECK_TIME_RANGE),
            retries: table.small("retries", CHECK_COUNT_RANGE),
            healthy_after: table.small("healthy_after", CHECK_COUNT_RANGE),
        };
        table.finish();
        check
    }
}

#[derive(Debug, Default)]
pub(in crate::config) struct Retry {
    pub(in crate::config) attempts: Option<u32>,
    pub(in crate::config) on: Option<Vec<Occasion>>,
}

/// What a request may be tried again for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Occasion {
    Connect,
    Reset,
    Timeout,
    Status(u16),
}

const OCCASIONS: [(&str, Occasion); 6] = [
    ("connect", Occasion::Connect),
    ("reset", Occasion::Reset),
    ("timeout", Occasion::Timeout),
    ("502", Occasion::Status(502)),
    ("503", Occasion::Status(503)),
    ("504", Occasion::Status(504)),
];

impl Retry {
    pub(super) fn read(table: Table<'_>) -> Self {
        let retry = Self {
            attempts: table.small("attempts", RETRY_ATTEMPTS_RANGE),
            on: table.choices("on", &OCCASIONS),
        };
        table.finish();
        retry
    }
}
