//! The tables that stand for the server as a whole, with their defaults.

use std::net::{IpAddr, Ipv4Addr};

use super::super::defaults;
use super::super::quantity;
use super::super::raw;
use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::{
    HeadLimits, Header, Logging, Management, Monitoring, Performance, Security, Server,
};
use super::{Context, headers, networks, paths, rate_limit};

pub(super) fn server(raw: raw::Server, findings: &Findings) -> Server {
    if let Some(name) = raw
        .name
        .as_ref()
        .filter(|name| name.value.contains(char::is_control))
    {
        findings.push(
            Finding::error("'server.name' has a control character")
                .at(name.place, "")
                .help("write it in one line: it is sent in the Server header"),
        );
    }
    Server {
        name: raw
            .name
            .map_or_else(|| defaults::SERVER_NAME.to_owned(), |name| name.value),
        version: raw.version.map(|version| version.value),
        description: raw.description.map(|description| description.value),
        workers: raw.workers.unwrap_or(defaults::WORKERS),
        shutdown_timeout: raw.shutdown_timeout.unwrap_or(defaults::SHUTDOWN_TIMEOUT),
        ready_timeout: raw.ready_timeout.unwrap_or(defaults::READY_TIMEOUT),
        watch_config: is_on(raw.watch_config.as_ref(), false),
    }
}

pub(super) fn performance(raw: &raw::Performance, findings: &Findings) -> Performance {
    let head = head_limits(raw, findings);
    let buffer = |size: Option<u64>| {
        size.and_then(|size| u32::try_from(size).ok())
            .unwrap_or(defaults::BUFFER_SIZE)
    };
    Performance {
        worker_threads: raw.worker_threads.unwrap_or_else(defaults::worker_threads),
        max_connections: raw.max_connections.unwrap_or(defaults::MAX_CONNECTIONS),
        keep_alive_timeout: raw
            .keep_alive_timeout
            .unwrap_or(defaults::KEEP_ALIVE_TIMEOUT),
        request_timeout: raw.request_timeout.unwrap_or(defaults::REQUEST_TIMEOUT),
        header_timeout: raw.header_timeout.unwrap_or(defaults::HEADER_TIMEOUT),
        min_rate: raw.min_rate.unwrap_or(defaults::MIN_RATE),
        max_header_size: head.size,
        max_headers: head.fields,
        max_uri_length: head.target,
        read_buffer_size: buffer(raw.read_buffer_size),
        write_buffer_size: buffer(raw.write_buffer_size),
    }
}

/// A head holds its request target; what is not configured gives way.
fn head_limits(raw: &raw::Performance, findings: &Findings) -> HeadLimits {
    let default = HeadLimits::default();
    let bytes = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
    let size = raw.max_header_size.map_or(default.size, bytes);
    let target = raw.max_uri_length.as_ref();
    if let Some(target) = target.filter(|target| target.value > u64::from(size)) {
        let fits = quantity::show_size(target.value);
        findings.push(
            Finding::error("'performance.max_uri_length' is larger than the whole head may be")
                .at(
                    target.place,
                    format!("'max_header_size' is {}", quantity::show_size(size.into())),
                )
                .help(format!(
                    "write less, or allow larger heads: max_header_size = \"{fits}\" or more"
                )),
        );
    }
    HeadLimits {
        size,
        fields: raw.max_headers.unwrap_or(default.fields),
        target: target.map_or(default.target.min(size), |target| bytes(target.value)),
    }
}

pub(super) fn logging(raw: raw::Logging, context: &Context<'_>) -> Logging {
    let output = raw.output.unwrap_or(defaults::LOG_OUTPUT);
    let log_requests = is_on(raw.log_requests.as_ref(), false);
    // Where requests are logged must be somewhere.
    let access_log = raw.access_log.or_else(|| {
        let switch = raw.log_requests.as_ref().filter(|_| log_requests)?;
        Some(Located {
            value: defaults::ACCESS_LOG.into(),
            place: switch.place,
        })
    });
    let writes_file = output == super::super::types::LogOutput::File;
    let file = |path: Option<Located<std::path::PathBuf>>, used: bool| {
        let path = path?;
        let absolute = context.absolute(&path.value, path.place);
        if used {
            paths::check_log(&absolute, path.place, context.findings);
        }
        Some(absolute)
    };
    Logging {
        level: raw.level.unwrap_or(defaults::LOG_LEVEL),
        output,
        format: raw.format.unwrap_or(defaults::ACCESS_LOG_FORMAT),
        access_log: file(access_log, log_requests),
        error_log: file(raw.error_log, true),
        file_path: file(raw.file_path, writes_file).unwrap_or_else(defaults::log_file),
        log_requests,
    }
}

pub(super) fn security(raw: raw::Security, findings: &Findings) -> Security {
    check_proxy_protocol(&raw, findings);
    Security {
        hide_server_header: is_on(raw.hide_server_header.as_ref(), false),
        max_request_size: raw.max_request_size.unwrap_or(defaults::MAX_REQUEST_SIZE),
        rate_limiting: raw
            .rate_limiting
            .as_ref()
            .and_then(|limit| rate_limit::resolve(limit, findings)),
        trusted_proxies: networks::resolve(&raw.trusted_proxies, findings),
        proxy_protocol: is_on(raw.proxy_protocol.as_ref(), false),
        request_id: is_on(raw.request_id.as_ref(), false),
        security_headers: security_headers(raw.security_headers.unwrap_or_default(), findings),
    }
}

fn check_proxy_protocol(raw: &raw::Security, findings: &Findings) {
    let switch = raw.proxy_protocol.as_ref().filter(|switch| switch.value);
    if let (Some(switch), true) = (switch, raw.trusted_proxies.is_empty()) {
        findings.push(
            Finding::error("'security.proxy_protocol' is on and nobody is trusted to speak it")
                .at(switch.place, "")
                .help("name the proxies: trusted_proxies = [\"10.0.0.1\"]"),
        );
    }
}

/// The defaults, changed by what is configured: an empty value takes a header away.
fn security_headers(configured: raw::Pairs, findings: &Findings) -> Vec<Header> {
    let mut all: Vec<Header> = defaults::SECURITY_HEADERS
        .map(|(name, value)| Header {
            name: name.to_owned(),
            value: value.to_owned(),
        })
        .to_vec();
    for header in headers::resolve(configured, findings) {
        all.retain(|default| default.name != header.name);
        if !header.value.is_empty() {
            all.push(header);
        }
    }
    all
}

pub(super) fn management(raw: &raw::Management, findings: &Findings) -> Management {
    let enabled = is_on(raw.enabled.as_ref(), false);
    let host = raw
        .host
        .as_ref()
        .and_then(|host| management_host(host, findings));
    let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if enabled && !host.is_loopback() && raw.api_key.is_none() {
        let place = raw.host.as_ref().map(|host| host.place).or(raw.place);
        let finding = Finding::error(format!("the management API on '{host}' has no key"))
            .help("set 'management.api_key', or keep 'management.host' at 127.0.0.1");
        findings.push(match place {
            Some(place) => finding.at(place, "reachable from other machines"),
            None => finding,
        });
    }
    if let Some(key) = &raw.api_key {
        check_api_key(key, findings);
    }
    Management {
        enabled,
        host,
        port: raw
            .port
            .as_ref()
            .map_or(defaults::MANAGEMENT_PORT, |port| port.value),
        api_key: raw.api_key.as_ref().map(|key| key.value.clone()),
    }
}

fn management_host(host: &Located<String>, findings: &Findings) -> Option<IpAddr> {
    if host.value == "localhost" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let bare = host.value.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok();
    if address.is_none() {
        findings.push(
            Finding::error(format!("'management.host' cannot be \"{}\"", host.value))
                .at(host.place, "must be an IP address")
                .help(format!("write \"{}\"", defaults::MANAGEMENT_HOST)),
        );
    }
    address
}

/// The key travels in a header, so it must fit into one.
fn check_api_key(key: &Located<String>, findings: &Findings) {
    let fits = !key.value.is_empty() && key.value.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        findings.push(
            Finding::error(
                "'management.api_key' is empty or has characters that no header can carry",
            )
            .at(key.place, "")
            .help("write visible ASCII characters, for example from: openssl rand -hex 32"),
        );
    }
}

pub(super) fn monitoring(raw: raw::Monitoring, findings: &Findings) -> Monitoring {
    let path = |path: Option<Located<String>>| {
        let path = path?;
        let is_path = path.value.starts_with('/')
            && path
                .value
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
        if !is_path {
            findings.push(
                Finding::error(format!("endpoint \"{}\" is not a path", path.value))
                    .at(path.place, "")
                    .help("begin with a slash, as in \"/health\""),
            );
        }
        Some(path.value)
    };
    let or = |path: Option<String>, default: &str| path.unwrap_or_else(|| default.to_owned());
    check_metrics_path(&raw, findings);
    Monitoring {
        enabled: is_on(raw.enabled.as_ref(), true),
        health_endpoint: or(path(raw.health_endpoint), defaults::HEALTH_ENDPOINT),
        detailed_endpoint: or(path(raw.detailed_endpoint), defaults::DETAILED_ENDPOINT),
        metrics_endpoint: path(raw.metrics_endpoint),
    }
}

/// Whether the page of the metrics would be seen.
fn check_metrics_path(raw: &raw::Monitoring, findings: &Findings) {
    let Some(path) = &raw.metrics_endpoint else {
        return;
    };
    let value = |path: &Option<Located<String>>| path.as_ref().map(|path| path.value.clone());
    let health = [
        value(&raw.health_endpoint).unwrap_or_else(|| defaults::HEALTH_ENDPOINT.to_owned()),
        value(&raw.detailed_endpoint).unwrap_or_else(|| defaults::DETAILED_ENDPOINT.to_owned()),
    ];
    if health.contains(&path.value) || path.value.starts_with("/api/health") {
        findings.push(
            Finding::error(format!("'{}' is a health endpoint already", path.value))
                .at(path.place, "")
                .help("choose another path, as \"/metrics\""),
        );
    }
    if !is_on(raw.enabled.as_ref(), true) {
        findings.push(
            Finding::warning("no metrics on the sites: monitoring is not enabled")
                .at(path.place, "")
                .help("remove 'enabled = false', or this key"),
        );
    }
}

/// A switch, or its default.
pub(super) fn is_on(switch: Option<&Located<bool>>, default: bool) -> bool {
    switch.map_or(default, |switch| switch.value)
}
