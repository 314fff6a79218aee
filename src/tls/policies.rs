//! A configuration for each policy that the sites of a listener have.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::types::{Config, Listener, SiteIndex, TlsPolicy};

pub(super) enum Policies {
    /// All sites have the same.
    Uniform(Arc<ServerConfig>),
    BySite(HashMap<SiteIndex, Arc<ServerConfig>>),
}

impl Policies {
    /// Those of `listener`, each made once.
    pub(super) fn new(
        config: &Config,
        listener: &Listener,
        make: impl Fn(TlsPolicy<'_>) -> Arc<ServerConfig>,
    ) -> Self {
        let mut made = HashMap::new();
        let mut of = HashMap::new();
        for &index in &listener.sites {
            let Some(tls) = &config.sites[index as usize].tls else {
                continue;
            };
            let policy = tls.policy();
            let made = made.entry(policy).or_insert_with(|| make(policy));
            of.insert(index, made.clone());
        }
        match made.len() {
            1 => Self::Uniform(of[&listener.default_site].clone()),
            _ => Self::BySite(of),
        }
    }

    pub(super) fn uniform(&self) -> Option<Arc<ServerConfig>> {
        match self {
            Self::Uniform(config) => Some(config.clone()),
            Self::BySite(_) => None,
        }
    }

    /// The configuration of one of the listener's sites.
    pub(super) fn of(&self, site: SiteIndex) -> Arc<ServerConfig> {
        match self {
            Self::Uniform(config) => config.clone(),
            Self::BySite(of) => of[&site].clone(),
        }
    }
}
