//! What of `[[sites]]` stands between a request and its content.

use std::path::PathBuf;
use std::time::Duration;

use super::super::defaults::{
    BLOCK_DURATION_RANGE, BURST_SIZE_RANGE, CORS_MAX_AGE_RANGE, REQUESTS_PER_MINUTE_RANGE,
};
use super::super::reader::Table;
use super::super::source::{Located, Place};

#[derive(Debug, Default)]
pub(in crate::config) struct Middleware {
    pub(in crate::config) access: Option<Box<Access>>,
    pub(in crate::config) rate_limit: Option<Box<RateLimit>>,
    pub(in crate::config) redirect_to_https: Option<Located<bool>>,
    pub(in crate::config) redirects: Vec<Redirect>,
    pub(in crate::config) access_control: Option<Box<AccessControl>>,
}

impl Middleware {
    /// Reads the keys of a site's `table`.
    pub(super) fn read(table: &Table<'_>) -> Self {
        Self {
            access: table
                .table("access", "sites.access")
                .map(Access::read)
                .map(Box::new),
            rate_limit: table
                .table("rate_limit", "sites.rate_limit")
                .map(RateLimit::read)
                .map(Box::new),
            redirect_to_https: table.boolean("redirect_to_https"),
            redirects: table
                .tables("redirects", "sites.redirects")
                .into_iter()
                .map(Redirect::read)
                .collect(),
            access_control: table
                .table("access_control", "sites.access_control")
                .map(AccessControl::read)
                .map(Box::new),
        }
    }
}

/// `[sites.access]`.
#[derive(Debug)]
pub(in crate::config) struct Access {
    pub(in crate::config) allow_ips: Vec<Located<String>>,
    pub(in crate::config) deny_ips: Vec<Located<String>>,
    pub(in crate::config) require_auth: Option<Located<bool>>,
    pub(in crate::config) auth_realm: Option<Located<String>>,
    pub(in crate::config) auth_file: Option<Located<PathBuf>>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

const AUTH_TYPES: [(&str, ()); 1] = [("basic", ())];

impl Access {
    fn read(table: Table<'_>) -> Self {
        table.begin_own_keys();
        table.choice("auth_type", &AUTH_TYPES);
        let mut access = Self {
            allow_ips: table.strings("allow_ips").unwrap_or_default(),
            deny_ips: table.strings("deny_ips").unwrap_or_default(),
            require_auth: table.boolean("require_auth"),
            auth_realm: table.string("auth_realm"),
            auth_file: table.path("auth_file"),
            damaged: false,
        };
        access.damaged = table.finish();
        access
    }
}

/// One of `[[sites.redirects]]`.
#[derive(Debug)]
pub(in crate::config) struct Redirect {
    pub(in crate::config) place: Place,
    pub(in crate::config) from: Option<Located<String>>,
    pub(in crate::config) to: Option<Located<String>>,
    pub(in crate::config) status: Option<Located<u64>>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl Redirect {
    fn read(table: Table<'_>) -> Self {
        let mut redirect = Self {
            place: table.place,
            from: table.string("from"),
            to: table.string("to"),
            status: table.integer("status", 0..=999),
            damaged: false,
        };
        redirect.damaged = table.finish();
        redirect
    }
}

/// `[sites.access_control]`.
#[derive(Debug)]
pub(in crate::config) struct AccessControl {
    pub(in crate::config) place: Place,
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) allow_origins: Option<Vec<Located<String>>>,
    pub(in crate::config) allow_methods: Option<Vec<Located<String>>>,
    pub(in crate::config) allow_headers: Option<Vec<Located<String>>>,
    pub(in crate::config) allow_credentials: Option<Located<bool>>,
    pub(in crate::config) max_age: Option<Duration>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl AccessControl {
    fn read(table: Table<'_>) -> Self {
        let mut control = Self {
            place: table.place,
            enabled: table.boolean("enabled"),
            allow_origins: table.strings("allow_origins"),
            allow_methods: table.strings("allow_methods"),
            allow_headers: table.strings("allow_headers"),
            allow_credentials: table.boolean("allow_credentials"),
            max_age: table.duration("max_age", CORS_MAX_AGE_RANGE),
            damaged: false,
        };
        control.damaged = table.finish();
        control
    }
}

/// `[sites.rate_limit]` or `[security.rate_limiting]`.
#[derive(Debug)]
pub(in crate::config) struct RateLimit {
    pub(in crate::config) place: Place,
    /// As in the schema.
    pub(in crate::config) table: &'static str,
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) requests_per_minute: Option<u32>,
    pub(in crate::config) burst_size: Option<u32>,
    pub(in crate::config) block_duration: Option<Duration>,
    pub(in crate::config) whitelist: Vec<Located<String>>,
    pub(in crate::config) blacklist: Vec<Located<String>>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl RateLimit {
    pub(super) fn read(table: Table<'_>) -> Self {
        let mut limit = Self {
            place: table.place,
            table: table.name,
            enabled: table.boolean("enabled"),
            requests_per_minute: table.small("requests_per_minute", REQUESTS_PER_MINUTE_RANGE),
            burst_size: table.small("burst_size", BURST_SIZE_RANGE),
            block_duration: table.duration("block_duration", BLOCK_DURATION_RANGE),
            whitelist: table.strings("whitelist").unwrap_or_default(),
            blacklist: table.strings("blacklist").unwrap_or_default(),
            damaged: false,
        };
        limit.damaged = table.finish();
        limit
    }
}
