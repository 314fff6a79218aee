//! `redirect_to_https`: where the https site of the same name is.

use std::collections::HashMap;

use super::super::report::{Finding, Findings};
use super::super::source::Place;
use super::super::types::{Config, HostPattern, ListenAddress, SiteIndex};
use super::hostnames;

/// The port of https URLs that do not name one.
const HTTPS: u16 = 443;

/// A site that wants it, and where it says so.
pub(super) type Wish = (SiteIndex, Place);

/// Finds the port for each site that sends its clients to https.
pub(super) fn resolve(config: &mut Config, wishes: &[Wish], findings: &Findings) {
    if wishes.is_empty() {
        return;
    }
    let ports: Vec<_> = {
        let secure = secure_hosts(config);
        let port = |(site, place): &Wish| (*site, port(config, *site, *place, &secure, findings));
        wishes.iter().map(port).collect()
    };
    for (site, port) in ports {
        if let Some(site) = config.sites.get_mut(site as usize) {
            site.middleware.https_port = port;
        }
    }
}

/// The ports where host patterns are answered with TLS; 443 before others.
fn secure_hosts(config: &Config) -> HashMap<&HostPattern, u16> {
    let mut ports = HashMap::new();
    for listener in config.listeners.iter().filter(|listener| listener.tls) {
        let port = match &listener.address {
            ListenAddress::Port(port) => *port,
            ListenAddress::Address(address) => address.port(),
            ListenAddress::Unix(_) => continue,
        };
        let sites = listener.sites.iter();
        for site in sites.filter_map(|site| config.sites.get(*site as usize)) {
            for pattern in &site.hostnames {
                let known = ports.entry(pattern).or_insert(port);
                if port == HTTPS {
                    *known = port;
                }
            }
        }
    }
    ports
}

fn port(
    config: &Config,
    site: SiteIndex,
    place: Place,
    secure: &HashMap<&HostPattern, u16>,
    findings: &Findings,
) -> Option<u16> {
    let site = config.sites.get(site as usize)?;
    if site.tls.is_some() {
        findings.push(
            Finding::warning(format!("site '{}' speaks TLS already", site.name))
                .at(place, "has no effect here")
                .help("write it in the site that answers the same names without TLS"),
        );
        return None;
    }
    let found = site
        .hostnames
        .iter()
        .find_map(|pattern| find(pattern, secure));
    if found.is_none() {
        let host = site.hostnames.first().map(hostnames::show);
        findings.push(
            Finding::warning(format!(
                "no site answers {} with TLS",
                host.unwrap_or_default()
            ))
            .at(place, "clients are sent to port 443")
            .help("add such a site, unless a proxy in front of BWS speaks TLS"),
        );
    }
    Some(found.unwrap_or(HTTPS))
}

/// As the router finds a site: the name, the longest wildcard, any.
fn find(pattern: &HostPattern, secure: &HashMap<&HostPattern, u16>) -> Option<u16> {
    if let Some(port) = secure.get(pattern) {
        return Some(*port);
    }
    let (HostPattern::Exact(name) | HostPattern::Wildcard(name)) = pattern else {
        return None;
    };
    let parents = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
    let wildcard = |parent: &str| secure.get(&HostPattern::Wildcard(parent.to_owned()));
    let found = parents.into_iter().find_map(wildcard);
    found.or_else(|| secure.get(&HostPattern::Any)).copied()
}
