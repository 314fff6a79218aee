//! `[sites.proxy]`.

use std::time::Duration;

use super::super::defaults::{
    MAX_REQUEST_SIZE_RANGE, SHORT_TIMEOUT_RANGE, TIMEOUT_RANGE, UPSTREAM_MAX_CONNS_RANGE,
    UPSTREAM_WEIGHT_RANGE,
};
use super::super::reader::Table;
use super::super::source::{Located, Place};
use super::super::types::InterimResponses;
use super::Pairs;
use super::balancing::{HealthCheck, LoadBalancing, Retry};
use super::upstream_tls::UpstreamTls;

const INTERIM_RESPONSES: [(&str, InterimResponses); 3] = [
    ("all", InterimResponses::All),
    ("http2", InterimResponses::Http2),
    ("none", InterimResponses::None),
];

#[derive(Debug)]
pub(in crate::config) struct Proxy {
    pub(in crate::config) place: Place,
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) upstreams: Vec<Upstream>,
    pub(in crate::config) routes: Vec<Route>,
    pub(in crate::config) load_balancing: LoadBalancing,
    pub(in crate::config) health_check: Option<HealthCheck>,
    pub(in crate::config) retry: Retry,
    pub(in crate::config) rewrite_redirects: Option<Located<bool>>,
    pub(in crate::config) interim_responses: Option<InterimResponses>,
    pub(in crate::config) timeout: Timeout,
    pub(in crate::config) headers: Headers,
    pub(in crate::config) tls: Option<UpstreamTls>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl Proxy {
    pub(super) fn read(table: Table<'_>) -> Self {
        let load_balancing = table
            .table("load_balancing", "sites.proxy.load_balancing")
            .map(LoadBalancing::read);
        let health_check = table
            .table("health_check", "sites.proxy.health_check")
            .map(HealthCheck::read);
        let retry = table.table("retry", "sites.proxy.retry").map(Retry::read);
        let timeout = table
            .table("timeout", "sites.proxy.timeout")
            .map(Timeout::read);
        let headers = table
            .table("headers", "sites.proxy.headers")
            .map(Headers::read);
        let tls = table.table("tls", "sites.proxy.tls").map(UpstreamTls::read);
        table.begin_own_keys();
        let enabled = table.boolean("enabled");
        let rewrite_redirects = table.boolean("rewrite_redirects");
        let interim_responses = table.choice("interim_responses", &INTERIM_RESPONSES);
        let upstreams = table.tables("upstreams", "sites.proxy.upstreams");
        let routes = table.tables("routes", "sites.proxy.routes");
        let place = table.place;
        let damaged = table.finish();
        Self {
            place,
            enabled,
            upstreams: upstreams.into_iter().map(Upstream::read).collect(),
            routes: routes.into_iter().map(Route::read).collect(),
            load_balancing: load_balancing.unwrap_or_default(),
            health_check,
            retry: retry.unwrap_or_default(),
            rewrite_redirects,
            interim_responses,
            timeout: timeout.unwrap_or_default(),
            headers: headers.unwrap_or_default(),
            tls,
            damaged,
        }
    }
}

/// `[proxy]`, what stands for all sites.
pub(super) fn read_resolver(table: Table<'_>) -> Vec<Located<String>> {
    let resolver = table.strings("resolver").unwrap_or_default();
    table.finish();
    resolver
}

/// One of `[[sites.proxy.upstreams]]`.
#[derive(Debug)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) url: Option<Located<String>>,
    pub(in crate::config) weight: Option<u32>,
    pub(in crate::config) max_conns: Option<u32>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl Upstream {
    fn read(table: Table<'_>) -> Self {
        let mut upstream = Self {
            place: table.place,
            name: table.string("name"),
            url: table.string("url"),
            weight: table.small("weight", UPSTREAM_WEIGHT_RANGE),
            max_conns: table.small("max_conns", UPSTREAM_MAX_CONNS_RANGE),
            damaged: false,
        };
        upstream.damaged = table.finish();
        upstream
    }
}

/// One of `[[sites.proxy.routes]]`.
#[derive(Debug)]
pub(in crate::config) struct Route {
    pub(in crate::config) place: Place,
    pub(in crate::config) path: Option<Located<String>>,
    pub(in crate::config) upstream: Option<Located<String>>,
    pub(in crate::config) strip_prefix: Option<Located<bool>>,
    pub(in crate::config) rewrite_target: Option<Located<String>>,
    pub(in crate::config) websocket: Option<Located<bool>>,
    pub(in crate::config) timeout: Option<Duration>,
    pub(in crate::config) max_request_size: Option<u64>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl Route {
    fn read(table: Table<'_>) -> Self {
        let mut route = Self {
            place: table.place,
            path: table.string("path"),
            upstream: table.string("upstream"),
            strip_prefix: table.boolean("strip_prefix"),
            rewrite_target: table.string("rewrite_target"),
            websocket: table.boolean("websocket"),
            timeout: table.duration("timeout", SHORT_TIMEOUT_RANGE),
            max_request_size: table.size("max_request_size", MAX_REQUEST_SIZE_RANGE),
            damaged: false,
        };
        route.damaged = table.finish();
        route
    }
}

/// `[sites.proxy.timeout]`.
#[derive(Debug, Default)]
pub(in crate::config) struct Timeout {
    pub(in crate::config) connect: Option<Duration>,
    pub(in crate::config) read: Option<Duration>,
    pub(in crate::config) write: Option<Duration>,
    pub(in crate::config) tunnel: Option<Duration>,
}

impl Timeout {
    fn read(table: Table<'_>) -> Self {
        let timeout = Self {
            connect: table.duration("connect", SHORT_TIMEOUT_RANGE),
            read: table.duration("read", SHORT_TIMEOUT_RANGE),
            write: table.duration("write", SHORT_TIMEOUT_RANGE),
            tunnel: table.duration("tunnel", TIMEOUT_RANGE),
        };
        table.finish();
        timeout
    }
}

/// `[sites.proxy.headers]`.
#[derive(Debug, Default)]
pub(in crate::config) struct Headers {
    pub(in crate::config) preserve_host: Option<Located<bool>>,
    pub(in crate::config) add_forwarded: Option<Located<bool>>,
    pub(in crate::config) add_x_forwarded: Option<Located<bool>>,
    pub(in crate::config) remove: Vec<Located<String>>,
    pub(in crate::config) add: Pairs,
}

impl Headers {
    fn read(table: Table<'_>) -> Self {
        let headers = Self {
            preserve_host: table.boolean("preserve_host"),
            add_forwarded: table.boolean("add_forwarded"),
            add_x_forwarded: table.boolean("add_x_forwarded"),
            remove: table.strings("remove").unwrap_or_default(),
            add: table.map("add").unwrap_or_default(),
        };
        table.finish();
        headers
    }
}
