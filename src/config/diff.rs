//! What changes between two configurations.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use super::resolve::show_address;
use super::types::{Config, Listener, Logging, Performance, Proxy, Server, Site, SiteTls};

/// What a reload would change. Sites are told apart by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Sites, as all lists of sites here in the order of the new configuration.
    pub added: Vec<String>,
    /// Sites, in the order of the old configuration.
    pub removed: Vec<String>,
    /// Sites, and what is different: "static_dir", "certificate", …
    pub changed: Vec<(String, Vec<String>)>,
    pub listeners_added: Vec<String>,
    pub listeners_removed: Vec<String>,
    /// Keys outside of sites: "performance.worker_threads", …
    pub global: Vec<String>,
    /// How many sites stay as they are.
    pub unchanged: usize,
}

/// Names shown of each list; a plan for ten thousand sites is still read by a person.
const SHOWN: usize = 20;

/// Compares two configurations by the content hashes of their sites.
pub fn diff(old: &Config, new: &Config) -> Plan {
    let alike = common_start(&old.sites, &new.sites);
    let before: HashMap<&str, &Site> = old.sites[alike..]
        .iter()
        .map(|it| (it.name.as_str(), it))
        .collect();
    let after: HashSet<&str> = new.sites[alike..]
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let mut plan = Plan {
        global: global_changes(old, new),
        ..Plan::default()
    };
    for (index, site) in new.sites.iter().enumerate() {
        let earlier = match index < alike {
            true => Some(&old.sites[index]),
            false => before.get(site.name.as_str()).copied(),
        };
        match earlier {
            None => plan.added.push(site.name.clone()),
            Some(earlier) if earlier.hash == site.hash => plan.unchanged += 1,
            Some(earlier) => {
                let changes = site_changes((old, earlier), (new, site));
                plan.changed.push((site.name.clone(), changes));
            }
        }
    }
    let gone = old.sites[alike..]
        .iter()
        .filter(|site| !after.contains(site.name.as_str()));
    plan.removed = gone.map(|site| site.name.clone()).collect();
    plan.listeners_added = missing_listeners(&new.listeners, &old.listeners);
    plan.listeners_removed = missing_listeners(&old.listeners, &new.listeners);
    plan
}

/// How many sites stand at the beginning of both. Names are unique: those are nowhere else in either.
fn common_start(old: &[Site], new: &[Site]) -> usize {
    let pairs = old.iter().zip(new);
    pairs.take_while(|(old, new)| old.name == new.name).count()
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                unchanged: self.unchanged,
                ..Self::default()
            }
    }

    /// In one line: "1 site added, 2 changed, 9997 unchanged".
    pub fn summary(&self) -> String {
        let sites = [
            (self.added.len(), "added"),
            (self.changed.len(), "changed"),
            (self.removed.len(), "removed"),
            (self.unchanged, "unchanged"),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (count, what) in sites.into_iter().filter(|(count, _)| *count > 0) {
            let noun = match (parts.is_empty(), count) {
                (true, 1) => " site",
                (true, _) => " sites",
                _ => "",
            };
            parts.push(format!("{count}{noun} {what}"));
        }
        match self.global.len() {
            0 => {}
            1 => parts.push("1 global setting changed".to_owned()),
            count => parts.push(format!("{count} global settings changed")),
        }
        if parts.is_empty() {
            "no sites".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

/// One line for each change, marked with +, - or ~, and the summary.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed: Vec<String> = self
            .changed
            .iter()
            .map(|(site, what)| format!("{site} ({})", what.join(", ")))
            .collect();
        lines(formatter, "+ site", &self.added)?;
        lines(formatter, "- site", &self.removed)?;
        lines(formatter, "~ site", &changed)?;
        lines(formatter, "+ listen on", &self.listeners_added)?;
        lines(formatter, "- listen on", &self.listeners_removed)?;
        lines(formatter, "~", &self.global)?;
        formatter.write_str(&self.summary())
    }
}

fn lines(formatter: &mut fmt::Formatter<'_>, mark: &str, names: &[String]) -> fmt::Result {
    for name in names.iter().take(SHOWN) {
        writeln!(formatter, "{mark} {name}")?;
    }
    match names.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(formatter, "{mark} … and {more} more"),
    }
}

/// The names of those fields of two values that differ.
macro_rules! differing {
    ($old:expr, $new:expr, $prefix:literal, [$($field:ident),* $(,)?]) => {{
        let mut names: Vec<String> = Vec::new();
        $(if $old.$field != $new.$field {
            names.push(concat!($prefix, stringify!($field)).to_owned());
        })*
        names
    }};
}

fn global_changes(old: &Config, new: &Config) -> Vec<String> {
    let mut names = server_changes(&old.server, &new.server);
    names.extend(performance_changes(&old.performance, &new.performance));
    names.extend(logging_changes(&old.logging, &new.logging));
    names.extend(service_changes(old, new));
    names
}

fn server_changes(old: &Server, new: &Server) -> Vec<String> {
    differing!(
        old,
        new,
        "server.",
        [
            name,
            version,
            description,
            workers,
            shutdown_timeout,
            ready_timeout,
            watch_config,
        ]
    )
}

fn performance_changes(old: &Performance, new: &Performance) -> Vec<String> {
    differing!(
        old,
        new,
        "performance.",
        [
            worker_threads,
            max_connections,
            keep_alive_timeout,
            request_timeout,
            header_timeout,
            min_rate,
            max_header_size,
            max_headers,
            max_uri_length,
            read_buffer_size,
            write_buffer_size,
        ]
    )
}

fn logging_changes(old: &Logging, new: &Logging) -> Vec<String> {
    differing!(
        old,
        new,
        "logging.",
        [
            level,
            output,
            format,
            access_log,
            error_log,
            file_path,
            log_requests,
        ]
    )
}

fn service_changes(old: &Config, new: &Config) -> Vec<String> {
    let mut names = differing!(
        old.security,
        new.security,
        "security.",
        [
            hide_server_header,
            max_request_size,
            security_headers,
            rate_limiting,
            trusted_proxies,
            proxy_protocol,
            request_id,
        ]
    );
    let (before, after) = (&old.management, &new.management);
    names.extend(differing!(
        before,
        after,
        "management.",
        [enabled, host, port, api_key]
    ));
    names.extend(differing!(
        old.monitoring,
        new.monitoring,
        "monitoring.",
        [
            enabled,
            health_endpoint,
            detailed_endpoint,
            metrics_endpoint,
        ]
    ));
    names.extend(differing!(old, new, "proxy.", [resolver]));
    names
}

fn site_changes(old: (&Config, &Site), new: (&Config, &Site)) -> Vec<String> {
    let mut names = differing!(
        old.1,
        new.1,
        "",
        [
            hostnames,
            listen,
            default,
            headers,
            compression,
            cache,
            error_pages,
            max_request_size,
            request_timeout,
            api_only
        ]
    );
    names.extend(middleware_changes(old, new));
    match (&old.1.static_files, &new.1.static_files) {
        (Some(before), Some(after)) => {
            if before.root != after.root {
                names.push("static_dir".to_owned());
            }
            names.extend(differing!(
                before,
                after,
                "",
                [index_files, follow_symlinks, directory_listing, media_types]
            ));
        }
        (before, after) if before.is_some() != after.is_some() => {
            names.push("static_dir".to_owned())
        }
        _ => {}
    }
    match (&old.1.proxy, &new.1.proxy) {
        (Some(before), Some(after)) => names.extend(proxy_changes(before, after)),
        (before, after) if before.is_some() != after.is_some() => names.push("proxy".to_owned()),
        _ => {}
    }
    names.extend(tls_changes(old, new));
    names
}

/// Files of passwords are compared by content, as their indices move.
fn middleware_changes(old: (&Config, &Site), new: (&Config, &Site)) -> Vec<String> {
    let [before, after] = [old, new].map(|(_, site)| &site.middleware);
    let mut names = differing!(
        before,
        after,
        "",
        [addresses, rate_limit, https_port, redirects, cors]
    );
    let auth = |(config, site): (&Config, &Site)| {
        let auth = site.middleware.basic_auth.as_ref()?;
        let file = config.password_files.get(auth.file as usize);
        Some((auth.realm.clone(), file.cloned()))
    };
    if auth(old) != auth(new) {
        names.push("passwords".to_owned());
    }
    names
}

fn proxy_changes(old: &Proxy, new: &Proxy) -> Vec<String> {
    let mut names = differing!(
        old,
        new,
        "proxy.",
        [
            routes,
            health_check,
            retry,
            rewrite_redirects,
            interim_responses,
            timeout,
            headers
        ]
    );
    if old.balancing != new.balancing {
        names.insert(0, "proxy.load_balancing".to_owned());
    }
    if old.pools != new.pools {
        names.insert(0, "proxy.upstreams".to_owned());
    }
    names
}

/// Certificates are compared by content, as their indices move.
fn tls_changes(old: (&Config, &Site), new: (&Config, &Site)) -> Vec<String> {
    let (Some(before), Some(after)) = (&old.1.tls, &new.1.tls) else {
        let differ = old.1.tls.is_some() != new.1.tls.is_some();
        return if differ {
            vec!["ssl".to_owned()]
        } else {
            Vec::new()
        };
    };
    let mut names = differing!(before, after, "ssl.", [min_version, acme]);
    if before.clients != after.clients {
        names.push("ssl.client_ca".to_owned());
    }
    let shown = |config: &Config, tls: &SiteTls| -> Vec<_> {
        let indices = tls.certificates();
        indices.map(|it| config.certificates.find(it)).collect()
    };
    if shown(old.0, before) != shown(new.0, after) {
        names.push("certificate".to_owned());
    }
    names
}

/// The addresses of `these` that `those` have not.
fn missing_listeners(these: &[Listener], those: &[Listener]) -> Vec<String> {
    let known: HashSet<_> = those.iter().map(|listener| &listener.address).collect();
    let missing = these
        .iter()
        .filter(|listener| !known.contains(&listener.address));
    missing
        .map(|listener| show_address(&listener.address))
        .collect()
}
