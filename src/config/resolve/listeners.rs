//! Which sites share a listening address, and whether they can.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::raw;
use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place};
use super::super::types::{HostPattern, ListenAddress, Listener, Management, Site, SiteIndex};
use super::hostnames;
use super::sites::Draft;

/// `sockaddr_un` holds no longer path (unix(7)).
pub(super) const MAX_SOCKET_PATH: usize = 107;

/// What a site listens on: `port` or `listen`.
pub(super) fn address(
    raw: &raw::Site,
    title: &str,
    at: Place,
    findings: &Findings,
) -> Option<(ListenAddress, Place)> {
    match (&raw.port, &raw.listen) {
        (Some(port), None) => Some((ListenAddress::Port(port.value), port.place)),
        (None, Some(listen)) => Some((parse(listen, findings)?, listen.place)),
        (Some(port), Some(listen)) => {
            findings.push(
                Finding::error(format!("{title} has both 'port' and 'listen'"))
                    .at(listen.place, "")
                    .at(port.place, "")
                    .help("keep one: 'port' for every address, 'listen' for one"),
            );
            None
        }
        (None, None) if raw.damaged => None,
        (None, None) => {
            findings.push(
                Finding::error(format!("{title} has no port"))
                    .at(at, "")
                    .help("add 'port = 8080', or 'listen = \"127.0.0.1:8080\"'"),
            );
            None
        }
    }
}

/// The same, errors passed over.
pub(super) fn told(raw: &raw::Site) -> Option<ListenAddress> {
    match (&raw.port, &raw.listen) {
        (Some(port), None) => Some(ListenAddress::Port(port.value)),
        (None, Some(listen)) => parse(listen, &Findings::default()),
        _ => None,
    }
}

fn parse(listen: &Located<String>, findings: &Findings) -> Option<ListenAddress> {
    let text = listen.value.as_str();
    let help = if let Some(path) = text.strip_prefix("unix:") {
        if path.starts_with('/') && path.len() <= MAX_SOCKET_PATH {
            return Some(ListenAddress::Unix(PathBuf::from(path)));
        }
        "write \"unix:\" and an absolute path of at most 107 bytes".to_owned()
    } else {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() > 0 => return Some(ListenAddress::Address(address)),
            _ => match text.trim_start_matches(['*', ':']).parse::<u16>() {
                Ok(port) if port > 0 => format!("write 'port = {port}' instead"),
                _ => "write \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/run/bws/site.sock\""
                    .to_owned(),
            },
        }
    };
    let message = format!("'sites.listen' cannot be \"{text}\"");
    findings.push(
        Finding::error(message)
            .at(listen.place, "not an address with a port")
            .help(help),
    );
    None
}

/// How an address is written.
pub(in crate::config) fn show(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Port(port) => format!("port {port}"),
        ListenAddress::Address(address) => address.to_string(),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// The listeners of all sites, in the order of first use.
pub(super) fn gather(
    drafts: &[Draft],
    management: &Management,
    findings: &Findings,
) -> Vec<Listener> {
    let mut members: Vec<(ListenAddress, Vec<usize>)> = Vec::new();
    let mut known: HashMap<&ListenAddress, usize> = HashMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        let Some((address, place)) = &draft.listen else {
            continue;
        };
        check_management(address, *place, management, findings);
        let number = *known.entry(address).or_insert_with(|| {
            members.push((address.clone(), Vec::new()));
            members.len() - 1
        });
        members[number].1.push(index);
    }
    members
        .into_iter()
        .map(|(address, sites)| listener(address, &sites, drafts, findings))
        .collect()
}

/// Fills in which site is the default of its listener.
pub(super) fn with_defaults(drafts: Vec<Draft>, listeners: &[Listener]) -> Vec<Site> {
    let mut sites: Vec<Site> = drafts.into_iter().map(|draft| draft.site).collect();
    for listener in listeners {
        sites[listener.default_site as usize].default = true;
    }
    sites
}

fn listener(
    address: ListenAddress,
    sites: &[usize],
    drafts: &[Draft],
    findings: &Findings,
) -> Listener {
    let shown = show(&address);
    let members: Vec<&Draft> = sites.iter().map(|index| &drafts[*index]).collect();
    check_hostnames(&members, &shown, findings);
    check_tls(&members, &shown, findings);
    let default = default_member(&members, &shown, findings);
    let index = |site: &usize| SiteIndex::try_from(*site).unwrap_or(SiteIndex::MAX);
    Listener {
        tls: members.iter().any(|draft| draft.tls),
        default_site: index(&sites[default]),
        sites: sites.iter().map(index).collect(),
        address,
    }
}

fn check_hostnames(members: &[&Draft], shown: &str, findings: &Findings) {
    let mut claims: HashMap<&HostPattern, (&str, Place)> = HashMap::with_capacity(members.len());
    for draft in members {
        let name = draft.site.name.as_str();
        for (pattern, place) in draft.site.hostnames.iter().zip(&draft.hostname_places) {
            let Some((other, first)) = claims.insert(pattern, (name, *place)) else {
                continue;
            };
            let host = hostnames::show(pattern);
            findings.push(
                Finding::error(format!("two sites claim hostname '{host}' on {shown}"))
                    .at(*place, format!("claimed by site '{name}'"))
                    .at(first, format!("and by site '{other}'"))
                    .help("remove it from one of them, or give one another port"),
            );
        }
    }
}

fn check_tls(members: &[&Draft], shown: &str, findings: &Findings) {
    let secure = members.iter().find(|draft| draft.tls);
    let clear = members.iter().find(|draft| !draft.tls);
    if let (Some(secure), Some(clear)) = (secure, clear) {
        let (one, other) = (&secure.site.name, &clear.site.name);
        findings.push(
            Finding::error(format!("TLS and cleartext are mixed on {shown}"))
                .at(clear.place, format!("site '{other}' speaks cleartext"))
                .at(secure.place, format!("site '{one}' speaks TLS"))
                .help("give one of them another port, or both TLS"),
        );
    }
}

/// The member that answers unknown hosts: the one that says so, else the one for any host, else the first.
fn default_member(members: &[&Draft], shown: &str, findings: &Findings) -> usize {
    let mut declared = members
        .iter()
        .enumerate()
        .filter_map(|(number, draft)| draft.default.map(|place| (number, place)));
    let any = members
        .iter()
        .position(|draft| draft.site.hostnames.contains(&HostPattern::Any));
    let Some((first, place)) = declared.next() else {
        return any.unwrap_or(0);
    };
    if let Some((_, second)) = declared.next() {
        findings.push(
            Finding::error(format!("two sites are the default on {shown}"))
                .at(second, "the second")
                .at(place, "the first")
                .help("keep 'default = true' for one of them"),
        );
    }
    if let Some(any) = any.filter(|any| *any != first) {
        let names = (&members[any].site.name, &members[first].site.name);
        findings.push(
            Finding::error(format!("two sites are for unknown hosts on {shown}"))
                .at(place, format!("site '{}' is the default", names.1))
                .at(
                    members[any].place,
                    format!("site '{}' takes any host", names.0),
                )
                .help("remove 'default = true', or give the other site hostnames"),
        );
    }
    first
}

/// The management API needs its port for itself.
fn check_management(
    address: &ListenAddress,
    place: Place,
    management: &Management,
    findings: &Findings,
) {
    let taken = match address {
        ListenAddress::Port(port) => *port == management.port,
        ListenAddress::Address(address) => {
            let same = address.ip() == management.host || address.ip().is_unspecified();
            address.port() == management.port && (same || management.host.is_unspecified())
        }
        ListenAddress::Unix(_) => false,
    };
    if management.enabled && taken {
        findings.push(
            Finding::error(format!(
                "port {} belongs to the management API",
                management.port
            ))
            .at(place, "")
            .help("change this port, or 'management.port'"),
        );
    }
}
