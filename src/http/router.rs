//! Which site answers a host on a listener.

use std::collections::HashMap;

use crate::config::types::{Config, HostPattern, Listener, SiteIndex};

/// The sites of all listeners by host.
pub(super) struct Router {
    listeners: Vec<Hosts>,
}

/// The sites of one listener.
struct Hosts {
    exact: HashMap<Box<str>, SiteIndex>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, SiteIndex>,
    /// For hosts that nothing else names.
    otherwise: SiteIndex,
}

impl Router {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            listeners: config
                .listeners
                .iter()
                .map(|listener| Hosts::new(config, listener))
                .collect(),
        }
    }

    /// The site for `host` (without a port, in any case) on listener number `listener`; None without such a listener.
    pub(super) fn site(&self, listener: u32, host: &str) -> Option<SiteIndex> {
        let hosts = self.listeners.get(listener as usize)?;
        Some(hosts.named(host).unwrap_or(hosts.otherwise))
    }

    /// Whether a site of listener number `listener` has `host` among its names, rather than taking what is left.
    pub(super) fn is_named(&self, listener: u32, host: &str) -> bool {
        let hosts = self.listeners.get(listener as usize);
        hosts.is_some_and(|hosts| hosts.named(host).is_some())
    }
}

impl Hosts {
    fn new(config: &Config, listener: &Listener) -> Self {
        let mut hosts = Self {
            exact: HashMap::with_capacity(listener.sites.len()),
            wildcard: HashMap::new(),
            otherwise: listener.default_site,
        };
        for &index in &listener.sites {
            let Some(site) = config.sites.get(index as usize) else {
                continue;
            };
            for pattern in &site.hostnames {
                match pattern {
                    HostPattern::Exact(name) => hosts.exact.insert(name.as_str().into(), index),
                    HostPattern::Wildcard(suffix) => {
                        hosts.wildcard.insert(suffix.as_str().into(), index)
                    }
                    HostPattern::Any => Some(std::mem::replace(&mut hosts.otherwise, index)),
                };
            }
        }
        hosts
    }

    /// The site that has this name.
    fn named(&self, host: &str) -> Option<SiteIndex> {
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return None;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find(&host.to_ascii_lowercase());
        }
        self.find(host)
    }

    fn find(&self, host: &str) -> Option<SiteIndex> {
        if let Some(&site) = self.exact.get(host) {
            return Some(site);
        }
        self.find_wildcard(host)
    }

    /// The longest suffix wins, so labels are taken off from the left.
    fn find_wildcard(&self, host: &str) -> Option<SiteIndex> {
        if self.wildcard.is_empty() {
            return None;
        }
        let mut rest = host;
        while let Some((label, suffix)) = rest.split_once('.') {
            if let (false, Some(&site)) = (label.is_empty(), self.wildcard.get(suffix)) {
                return Some(site);
            }
            rest = suffix;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{config, site};

    fn router(patterns: &[HostPattern]) -> Router {
        let sites = patterns.iter().map(|pattern| {
            let mut site = site();
            site.hostnames = vec![pattern.clone()];
            site
        });
        Router::new(&config(sites.collect()))
    }

    #[test]
    fn exact_before_longest_wildcard_before_any() {
        let router = router(&[
            HostPattern::Exact("default".into()),
            HostPattern::Wildcard("example.com".into()),
            HostPattern::Wildcard("b.example.com".into()),
            HostPattern::Exact("x.b.example.com".into()),
            HostPattern::Any,
        ]);
        for (host, site) in [
            ("default", 0),
            ("a.example.com", 1),
            ("a.c.example.com", 1),
            ("example.com", 4),
            ("y.b.example.com", 2),
            ("x.b.example.com", 3),
            ("X.B.Example.COM.", 3),
            ("elsewhere", 4),
            ("", 4),
            (".example.com", 4),
        ] {
            assert_eq!(router.site(0, host), Some(site), "{host}");
            assert_eq!(router.is_named(0, host), site != 4, "{host}");
        }
    }

    #[test]
    fn the_default_site_takes_the_rest() {
        let router = router(&[
            HostPattern::Exact("a".into()),
            HostPattern::Exact("b".into()),
        ]);
        assert_eq!(router.site(0, "c"), Some(0));
        assert_eq!(router.site(1, "a"), None);
    }
}
