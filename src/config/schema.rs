//! Every table and key that a configuration file may hold. Reading (`raw`) asks for values; this list is what
//! suggestions are drawn from.

/// The keys of each table. `""` is the file itself.
#[rustfmt::skip]
pub(super) const TABLES: &[(&str, &[&str])] = &[
    ("", &[
        "include", "server", "performance", "logging", "security", "management", "monitoring", "compression", "caching",
        "daemon", "proxy", "sites",
    ]),
    ("server", &[
        "name", "version", "description", "workers", "shutdown_timeout", "watch_config", "ready_timeout",
    ]),
    ("performance", &[
        "worker_threads", "max_connections", "keep_alive_timeout", "request_timeout", "header_timeout",
        "min_rate", "max_header_size", "max_headers", "max_uri_length", "read_buffer_size", "write_buffer_size",
    ]),
    ("logging", &["level", "output", "format", "access_log", "error_log", "file_path", "log_requests"]),
    ("security", &[
        "hide_server_header", "max_request_size", "security_headers", "rate_limiting", "trusted_proxies",
        "proxy_protocol", "request_id",
    ]),
    ("security.rate_limiting", &[
        "enabled", "requests_per_minute", "burst_size", "block_duration", "whitelist", "blacklist",
    ]),
    ("management", &["enabled", "host", "port", "api_key"]),
    ("monitoring", &["enabled", "health_endpoint", "detailed_endpoint", "metrics_endpoint"]),
    ("proxy", &["resolver"]),
    ("compression", &["enabled", "types", "level", "min_size", "algorithms"]),
    ("caching", &[
        "enabled", "cache_control", "etag_enabled", "last_modified_enabled", "max_age_static", "max_age_dynamic",
    ]),
    ("sites", &[
        "name", "hostname", "hostnames", "port", "listen", "default", "static_dir", "index_files", "index_file",
        "directory_listing", "enable_directory_listing", "follow_symlinks", "mime_types", "headers", "redirect_to_https",
        "redirects", "error_pages", "api_only", "max_request_size", "request_timeout", "compression", "cache", "access_control", "access", "rate_limit",
        "ssl", "proxy",
    ]),
    ("sites.compression", &["enabled", "types", "level", "min_size", "algorithms"]),
    ("sites.cache", &[
        "enabled", "cache_control", "etag_enabled", "last_modified_enabled", "max_age_static", "max_age_dynamic",
    ]),
    ("sites.redirects", &["from", "to", "status"]),
    ("sites.access_control", &[
        "enabled", "allow_origins", "allow_methods", "allow_headers", "allow_credentials", "max_age",
    ]),
    ("sites.access", &["allow_ips", "deny_ips", "require_auth", "auth_type", "auth_realm", "auth_file"]),
    ("sites.rate_limit", &[
        "enabled", "requests_per_minute", "burst_size", "block_duration", "whitelist", "blacklist",
    ]),
    ("sites.ssl", &[
        "enabled", "cert_file", "key_file", "ocsp_file", "certificates", "auto_cert", "domains", "min_version",
        "client_ca", "client_verify", "client_crl", "acme",
    ]),
    ("sites.ssl.certificates", &["cert_file", "key_file", "ocsp_file"]),
    ("sites.ssl.acme", &[
        "enabled", "email", "staging", "challenge_dir", "directory_url", "ca_file", "challenge", "eab_kid",
        "eab_hmac_key",
    ]),
    ("sites.proxy", &[
        "enabled", "upstreams", "routes", "load_balancing", "health_check", "timeout", "headers", "retry",
        "rewrite_redirects", "interim_responses", "tls",
    ]),
    ("sites.proxy.upstreams", &["name", "url", "weight", "max_conns"]),
    ("sites.proxy.routes", &["path", "upstream", "strip_prefix", "rewrite_target", "websocket", "timeout", "max_request_size"]),
    ("sites.proxy.load_balancing", &["method", "sticky_sessions", "queue", "queue_timeout"]),
    ("sites.proxy.health_check", &["enabled", "path", "interval", "timeout", "retries", "healthy_after"]),
    ("sites.proxy.timeout", &["connect", "read", "write", "tunnel"]),
    ("sites.proxy.tls", &["ca_file", "server_name", "verify", "http2"]),
    ("sites.proxy.retry", &["attempts", "on"]),
    ("sites.proxy.headers", &["preserve_host", "add_forwarded", "add_x_forwarded", "remove", "add"]),
];

/// Tables that may be written several times, `[[…]]`.
const REPEATED: &[&str] = &[
    "sites",
    "sites.redirects",
    "sites.ssl.certificates",
    "sites.proxy.upstreams",
    "sites.proxy.routes",
];

/// A key nearer than this to many tables says nothing about which was meant.
const AMBIGUOUS: usize = 3;

pub(super) fn keys(table: &str) -> &'static [&'static str] {
    TABLES
        .iter()
        .find(|(name, _)| *name == table)
        .map_or(&[], |(_, keys)| keys)
}

/// How a table's head is written.
pub(super) fn heading(table: &str) -> String {
    if table.is_empty() {
        "the top level".to_owned()
    } else if REPEATED.contains(&table) {
        format!("[[{table}]]")
    } else {
        format!("[{table}]")
    }
}

/// The whole name of a key.
pub(super) fn qualified(table: &str, key: &str) -> String {
    if table.is_empty() {
        key.to_owned()
    } else {
        format!("{table}.{key}")
    }
}

/// What an operator may have meant by an unknown key.
pub(super) fn suggestion(table: &str, key: &str) -> String {
    let here = keys(table);
    if let Some(near) = nearest(key, here.iter().copied()) {
        return format!("did you mean '{near}'?");
    }
    // A table that sites have, too, is more often theirs.
    let of_sites = qualified("sites", table);
    if keys(&of_sites).contains(&key) {
        return format!("'{key}' belongs in {}", heading(&of_sites));
    }
    let elsewhere: Vec<&str> = TABLES
        .iter()
        .filter(|(_, keys)| keys.contains(&key))
        .map(|(name, _)| *name)
        .collect();
    match elsewhere[..] {
        [other] if !keys(&qualified(other, key)).is_empty() => {
            format!("write it as {}", heading(&qualified(other, key)))
        }
        ["", ..] => format!(
            "'{key}' is a table of its own: write it as {}",
            heading(key)
        ),
        [_, ..] if elsewhere.len() <= AMBIGUOUS => {
            let places: Vec<String> = elsewhere.iter().map(|name| heading(name)).collect();
            format!("'{key}' belongs in {}", places.join(" or "))
        }
        _ => format!("remove it; the keys here are {}", here.join(", ")),
    }
}

/// The candidate that a mistyped word most likely stands for.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    let limit = (lower.chars().count() / 3).max(1);
    candidates
        .map(|candidate| {
            let extends = (lower.len() >= 4 && candidate.starts_with(&lower))
                || (candidate.len() >= 4 && lower.starts_with(candidate));
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (if extends { 1 } else { distance }, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_recognised() {
        assert_eq!(suggestion("sites", "hostnmae"), "did you mean 'hostname'?");
        assert_eq!(
            suggestion("sites", "static-dir"),
            "did you mean 'static_dir'?"
        );
        assert_eq!(suggestion("sites", "host"), "did you mean 'hostname'?");
        assert_eq!(suggestion("", "site"), "did you mean 'sites'?");
    }

    #[test]
    fn a_key_of_another_table_is_sent_there() {
        assert_eq!(
            suggestion("server", "max_connections"),
            "'max_connections' belongs in [performance]"
        );
        assert_eq!(
            suggestion("sites", "upstreams"),
            "write it as [[sites.proxy.upstreams]]"
        );
        assert_eq!(
            suggestion("sites.proxy", "logging"),
            "write it as [logging]"
        );
        assert!(
            suggestion("management", "zzz")
                .starts_with("remove it; the keys here are enabled, host")
        );
    }
}
