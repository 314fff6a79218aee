//! `[sites.proxy.load_balancing]`.

use std::time::Duration;

use super::super::defaults::{SHORT_TIMEOUT_RANGE, UPSTREAM_QUEUE_RANGE};
use super::super::reader::Table;
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
    pub(in crate::config) queue: Option<u32>,
    pub(in crate::config) queue_timeout: Option<Duration>,
}

impl LoadBalancing {
    pub(super) fn read(table: Table<'_>) -> Self {
        let balancing = Self {
            method: table.choice("method", &METHODS),
            queue: table.small("queue", UPSTREAM_QUEUE_RANGE),
            queue_timeout: table.duration("queue_timeout", SHORT_TIMEOUT_RANGE),
        };
        table.finish();
        balancing
    }
}
