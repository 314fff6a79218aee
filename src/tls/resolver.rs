//! Which certificate answers a server name.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::challenges::Challenges;
use super::keys::Keys;
use crate::config::types::{CertificateIndex, HostPattern, SiteIndex, SiteTls};

/// What belongs to each server name of one listener.
#[derive(Debug)]
pub(super) struct NameTable<T> {
    exact: HashMap<String, T>,
    /// By the part behind `*.`.
    wildcard: HashMap<String, T>,
    default: T,
}

impl<T: Clone> NameTable<T> {
    pub(super) fn new(default: T) -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default,
        }
    }

    pub(super) fn insert(&mut self, pattern: &HostPattern, value: T) {
        match pattern {
            HostPattern::Exact(name) => self.exact.insert(name.clone(), value),
            HostPattern::Wildcard(name) => self.wildcard.insert(name.clone(), value),
            HostPattern::Any => Some(std::mem::replace(&mut self.default, value)),
        };
    }

    /// The entry of `name` (already lower case, as rustls gives it): exact, then the longest wildcard, then the default.
    pub(super) fn find(&self, name: Option<&str>) -> &T {
        name.and_then(|name| self.find_named(name))
            .unwrap_or(&self.default)
    }

    /// The same without the default.
    pub(super) fn find_named(&self, name: &str) -> Option<&T> {
        if let Some(found) = self.exact.get(name) {
            return Some(found);
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(found) = self.wildcard.get(parent) {
                return Some(found);
            }
            rest = parent;
        }
        None
    }
}

/// A site, and what it shows.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) site: SiteIndex,
    pub(super) shown: Shown,
}

/// The certificates for a name.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    One(CertificateIndex),
    /// With keys of different kinds.
    Several(Arc<[CertificateIndex]>),
}

impl Shown {
    pub(super) fn new(tls: &SiteTls) -> Self {
        match tls.alternatives.is_empty() {
            true => Self::One(tls.certificate),
            false => Self::Several(tls.certificates().collect()),
        }
    }

    /// Of several the one that costs least among those that the client can verify; when it can verify none, one of
    /// them nevertheless, as the handshake then says what is wrong.
    fn choose(&self, keys: &Keys, offered: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let several = match self {
            Self::One(index) => return keys.find(*index),
            Self::Several(several) => several,
        };
        let known = several.iter().filter_map(|index| keys.find(*index));
        known.min_by_key(|it| {
            let understood = it.key.choose_scheme(offered).is_some();
            (!understood, cost(it.key.algorithm()))
        })
    }
}

/// Of a signature, relative to others.
fn cost(algorithm: SignatureAlgorithm) -> u8 {
    match algorithm {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::ED25519 => 1,
        _ => 2,
    }
}

#[derive(Debug)]
pub(super) struct CertificateByName {
    pub(super) names: Arc<NameTable<Named>>,
    pub(super) keys: Arc<Keys>,
    pub(super) challenges: Option<Arc<Challenges>>,
}

impl ResolvesServerCert for CertificateByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if let Some(challenges) = &self.challenges {
            if Challenges::concerns(&hello) {
                return challenges.find(name.as_deref());
            }
        }
        // Without those that belong to none of the client's cipher suites: rustls has seen to that.
        let offered = hello.signature_schemes();
        let named = self.names.find(name.as_deref());
        named.shown.choose(&self.keys, offered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_before_longest_wildcard_before_default() {
        let mut table = NameTable::new(0);
        table.insert(&HostPattern::Exact("www.example.com".into()), 1);
        table.insert(&HostPattern::Wildcard("example.com".into()), 2);
        table.insert(&HostPattern::Wildcard("a.example.com".into()), 3);
        assert_eq!(*table.find(Some("www.example.com")), 1);
        assert_eq!(*table.find(Some("x.example.com")), 2);
        assert_eq!(*table.find(Some("y.a.example.com")), 3);
        assert_eq!(*table.find(Some("example.com")), 0);
        assert_eq!(*table.find(None), 0);
        assert_eq!(table.find_named("example.com"), None);
    }
}
