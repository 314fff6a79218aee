//! The tables that stand for the server as a whole.

use std::path::PathBuf;
use std::time::Duration;

use super::super::defaults::{
    BUFFER_SIZE_RANGE, MAX_CONNECTIONS_RANGE, MAX_HEADER_SIZE_RANGE, MAX_HEADERS_RANGE,
    MAX_REQUEST_SIZE_RANGE, MAX_URI_LENGTH_RANGE, MIN_RATE_RANGE, SHORT_TIMEOUT_RANGE,
    TIMEOUT_RANGE, WORKER_THREADS_RANGE, WORKERS_RANGE,
};
use super::super::reader::Table;
use super::super::source::{Located, Place};
use super::super::types::{AccessLogFormat, LogLevel, LogOutput};
use super::Pairs;
use super::middleware::RateLimit;

#[derive(Debug, Default)]
pub(in crate::config) struct Server {
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) version: Option<Located<String>>,
    pub(in crate::config) description: Option<Located<String>>,
    pub(in crate::config) workers: Option<u32>,
    pub(in crate::config) shutdown_timeout: Option<Duration>,
    pub(in crate::config) ready_timeout: Option<Duration>,
    pub(in crate::config) watch_config: Option<Located<bool>>,
}

impl Server {
    pub(super) fn read(table: Table<'_>) -> Self {
        let server = Self {
            name: table.string("name"),
            version: table.string("version"),
            description: table.string("description"),
            workers: table.small("workers", WORKERS_RANGE),
            shutdown_timeout: table.duration("shutdown_timeout", SHORT_TIMEOUT_RANGE),
            ready_timeout: table.duration("ready_timeout", SHORT_TIMEOUT_RANGE),
            watch_config: table.boolean("watch_config"),
        };
        table.finish();
        server
    }
}

#[derive(Debug, Default)]
pub(in crate::config) struct Performance {
    pub(in crate::config) worker_threads: Option<u32>,
    pub(in crate::config) max_connections: Option<u32>,
    pub(in crate::config) keep_alive_timeout: Option<Duration>,
    pub(in crate::config) request_timeout: Option<Duration>,
    pub(in crate::config) header_timeout: Option<Duration>,
    pub(in crate::config) min_rate: Option<u64>,
    pub(in crate::config) max_header_size: Option<u64>,
    pub(in crate::config) max_headers: Option<u32>,
    pub(in crate::config) max_uri_length: Option<Located<u64>>,
    pub(in crate::config) read_buffer_size: Option<u64>,
    pub(in crate::config) write_buffer_size: Option<u64>,
}

impl Performance {
    pub(super) fn read(table: Table<'_>) -> Self {
        let performance = Self {
            worker_threads: table.small("worker_threads", WORKER_THREADS_RANGE),
            max_connections: table.small("max_connections", MAX_CONNECTIONS_RANGE),
            keep_alive_timeout: table.duration("keep_alive_timeout", TIMEOUT_RANGE),
            request_timeout: table.duration("request_timeout", TIMEOUT_RANGE),
            header_timeout: table.duration("header_timeout", TIMEOUT_RANGE),
            min_rate: table.size("min_rate", MIN_RATE_RANGE),
            max_header_size: table.size("max_header_size", MAX_HEADER_SIZE_RANGE),
            max_headers: table.small("max_headers", MAX_HEADERS_RANGE),
            max_uri_length: table.located_size("max_uri_length", MAX_URI_LENGTH_RANGE),
            read_buffer_size: table.size("read_buffer_size", BUFFER_SIZE_RANGE),
            write_buffer_size: table.size("write_buffer_size", BUFFER_SIZE_RANGE),
        };
        table.finish();
        performance
    }
}

#[derive(Debug, Default)]
pub(in crate::config) struct Logging {
    pub(in crate::config) level: Option<LogLevel>,
    pub(in crate::config) output: Option<LogOutput>,
    pub(in crate::config) format: Option<AccessLogFormat>,
    pub(in crate::config) access_log: Option<Located<PathBuf>>,
    pub(in crate::config) error_log: Option<Located<PathBuf>>,
    pub(in crate::config) file_path: Option<Located<PathBuf>>,
    pub(in crate::config) log_requests: Option<Located<bool>>,
}

const LOG_LEVELS: [(&str, LogLevel); 5] = [
    ("trace", LogLevel::Trace),
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
];

const LOG_OUTPUTS: [(&str, LogOutput); 5] = [
    ("auto", LogOutput::Auto),
    ("journald", LogOutput::Journald),
    ("stdout", LogOutput::Stdout),
    ("stderr", LogOutput::Stderr),
    ("file", LogOutput::File),
];

const ACCESS_LOG_FORMATS: [(&str, AccessLogFormat); 3] = [
    ("combined", AccessLogFormat::Combined),
    ("common", AccessLogFormat::Common),
    ("json", AccessLogFormat::Json),
];

impl Logging {
    pub(super) fn read(table: Table<'_>) -> Self {
        let logging = Self {
            level: table.choice("level", &LOG_LEVELS),
            output: table.choice("output", &LOG_OUTPUTS),
            format: table.choice("format", &ACCESS_LOG_FORMATS),
            access_log: table.path("access_log"),
            error_log: table.path("error_log"),
            file_path: table.path("file_path"),
            log_requests: table.boolean("log_requests"),
        };
        table.finish();
        logging
    }
}

#[derive(Debug, Default)]
pub(in crate::config) struct Security {
    pub(in crate::config) hide_server_header: Option<Located<bool>>,
    pub(in crate::config) max_request_size: Option<u64>,
    pub(in crate::config) security_headers: Option<Pairs>,
    pub(in crate::config) rate_limiting: Option<RateLimit>,
    pub(in crate::config) trusted_proxies: Vec<Located<String>>,
    pub(in crate::config) proxy_protocol: Option<Located<bool>>,
    pub(in crate::config) request_id: Option<Located<bool>>,
}

impl Security {
    pub(super) fn read(table: Table<'_>) -> Self {
        let security = Self {
            hide_server_header: table.boolean("hide_server_header"),
            max_request_size: table.size("max_request_size", MAX_REQUEST_SIZE_RANGE),
            security_headers: table.map("security_headers"),
            rate_limiting: table
                .table("rate_limiting", "security.rate_limiting")
                .map(RateLimit::read),
            trusted_proxies: table.strings("trusted_proxies").unwrap_or_default(),
            proxy_protocol: table.boolean("proxy_protocol"),
            request_id: table.boolean("request_id"),
        };
        table.finish();
        security
    }
}

#[derive(Debug, Default)]
pub(in crate::config) struct Management {
    pub(in crate::config) place: Option<Place>,
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) host: Option<Located<String>>,
    pub(in crate::config) port: Option<Located<u16>>,
    pub(in crate::config) api_key: Option<Located<String>>,
}

impl Management {
    pub(super) fn read(table: Table<'_>) -> Self {
        let management = Self {
            place: Some(table.place),
            enabled: table.boolean("enabled"),
            host: table.string("host"),
            port: table.port("port"),
            api_key: table.string("api_key"),
        };
        table.finish();
        management
    }
}

#[derive(Debug, Default)]
pub(in crate::config) struct Monitoring {
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) health_endpoint: Option<Located<String>>,
    pub(in crate::config) detailed_endpoint: Option<Located<String>>,
    pub(in crate::config) metrics_endpoint: Option<Located<String>>,
}

impl Monitoring {
    pub(super) fn read(table: Table<'_>) -> Self {
        let monitoring = Self {
            enabled: table.boolean("enabled"),
            health_endpoint: table.string("health_endpoint"),
            detailed_endpoint: table.string("detailed_endpoint"),
            metrics_endpoint: table.string("metrics_endpoint"),
        };
        table.finish();
        monitoring
    }
}
