//! Which name servers are asked, for which names, in which form.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::ask::Servers;

/// For one answer of a server that the configuration names, and how often such servers are gone through.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// How names are resolved.
#[derive(Debug)]
pub(super) struct Settings {
    /// None: the system's resolver is asked for everything.
    pub(super) servers: Option<Servers>,
    /// Domains in which a name may be.
    pub(super) search: Vec<String>,
    /// A name with fewer dots is looked for in the domains of `search` first.
    pub(super) dots: usize,
    /// Ask for IPv6 addresses.
    pub(super) ipv6: bool,
    /// Names in hosts(5), lower case.
    pub(super) hosts: HashSet<Box<str>>,
    /// The servers are those of the system, which may know names by other ways as well (nsswitch.conf(5)).
    pub(super) of_system: bool,
}

/// Who knows a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// getaddrinfo(3)
    System,
    /// Name servers, asked for these names until one exists.
    Servers(&'a Servers, Vec<String>),
}

impl PartialEq for Servers {
    fn eq(&self, other: &Self) -> bool {
        self.addresses == other.addresses
    }
}

impl Eq for Servers {}

impl Settings {
    /// Those of a configuration that names its servers.
    pub(super) fn of_servers(addresses: Vec<SocketAddr>) -> Self {
        Self {
            servers: Some(Servers {
                addresses,
                timeout: TIMEOUT,
                attempts: ATTEMPTS,
                rotate: false,
                tcp: false,
                large: false,
                turn: AtomicUsize::new(0),
            }),
            search: vec![],
            dots: 1,
            ipv6: true,
            hosts: HashSet::new(),
            of_system: false,
        }
    }

    /// The way to the addresses of `host`. With a dot at its end it is a name in whole.
    pub(super) fn way(&self, host: &str) -> Way<'_> {
        let bare = host.strip_suffix('.').unwrap_or(host);
        let lower = bare.to_ascii_lowercase();
        let servers = match &self.servers {
            Some(servers) if !self.is_local(&lower) => servers,
            _ => return Way::System,
        };
        let dots = lower.matches('.').count();
        let whole = bare.len() < host.len();
        if self.of_system && !whole && dots == 0 && self.search.is_empty() {
            return Way::System;
        }
        Way::Servers(servers, self.candidates(&lower, whole, dots))
    }

    /// RFC 6761 section 6.3, RFC 6762: these are nobody's on the network; and what hosts(5) says goes first.
    fn is_local(&self, name: &str) -> bool {
        let last = name.rsplit('.').next();
        let multicast = last == Some("local") && name.matches('.').count() == 1;
        last == Some("localhost") || (multicast && self.of_system) || self.hosts.contains(name)
    }

    fn candidates(&self, name: &str, whole: bool, dots: usize) -> Vec<String> {
        let own = || std::iter::once(name.to_owned());
        if whole {
            return own().collect();
        }
        let within = self
            .search
            .iter()
            .map(|domain| format!("{name}.{}", domain.trim_matches('.')));
        match dots >= self.dots {
            true => own().chain(within).collect(),
            false => within.chain(own()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(search: &[&str], dots: usize) -> Settings {
        let server = SocketAddr::from(([127, 0, 0, 1], 53));
        Settings {
            search: search.iter().map(|it| (*it).to_owned()).collect(),
            dots,
            hosts: ["db.example".into()].into(),
            of_system: true,
            ..Settings::of_servers(vec![server])
        }
    }

    fn asked(settings: &Settings, host: &str) -> Option<Vec<String>> {
        match settings.way(host) {
            Way::System => None,
            Way::Servers(_, names) => Some(names),
        }
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn search_domains_and_dots_are_obeyed() {
        let settings = settings(&["a.test", "b.test."], 2);
        let all = ["app.x.a.test", "app.x.b.test", "app.x"];
        assert_eq!(asked(&settings, "App.x"), names(&all));
        let first = ["app.x.y", "app.x.y.a.test", "app.x.y.b.test"];
        assert_eq!(asked(&settings, "app.x.y"), names(&first));
        assert_eq!(asked(&settings, "app.x."), names(&["app.x"]));
    }

    #[test]
    fn what_only_the_system_knows_is_asked_of_it() {
        let bare = settings(&[], 1);
        let local = [
            "localhost",
            "a.localhost",
            "printer.local",
            "DB.example",
            "app",
        ];
        for host in local {
            assert_eq!(asked(&bare, host), None, "{host}");
        }
        let cluster = "app.ns.svc.cluster.local";
        assert_eq!(asked(&bare, cluster), names(&[cluster]));
        let with = settings(&["ns.test"], 1);
        assert_eq!(asked(&with, "app"), names(&["app.ns.test", "app"]));
        let own = Settings::of_servers(vec![]);
        assert_eq!(asked(&own, "app"), names(&["app"]));
        assert_eq!(asked(&own, "localhost"), None);
    }
}
