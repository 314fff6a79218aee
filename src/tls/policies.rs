//! A configuration for each policy that the sites of a listener have.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ClientHello;

use super::challenges::Challenges;
use super::server_config::TlsError;

use crate::config::types::{Config, Listener, SiteIndex, TlsPolicy};

/// What becomes of a handshake.
pub enum Choice {
    /// Requests follow.
    Requests(Arc<ServerConfig>),
    /// An authority sees whose the name is, and nothing follows.
    Challenge(Arc<ServerConfig>),
}

pub(super) enum Policies {
    /// All sites have the same.
    Uniform(Arc<ServerConfig>),
    BySite {
        of: HashMap<SiteIndex, Arc<ServerConfig>>,
        /// Authorities have no certificate to show.
        challenge: Option<Arc<ServerConfig>>,
    },
}

impl Policies {
    /// Those of `listener`, each made once; `challenge` is given where authorities come to look.
    pub(super) fn new(
        config: &Config,
        listener: &Listener,
        challenge: Option<Arc<ServerConfig>>,
        make: impl Fn(TlsPolicy<'_>) -> Result<Arc<ServerConfig>, TlsError>,
    ) -> Result<Self, TlsError> {
        let mut made: HashMap<TlsPolicy<'_>, Arc<ServerConfig>> = HashMap::new();
        let mut of = HashMap::new();
        for &index in &listener.sites {
            let Some(tls) = &config.sites[index as usize].tls else {
                continue;
            };
            let policy = tls.policy();
            let known = match made.entry(policy) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(make(policy)?),
            };
            of.insert(index, known.clone());
        }
        let verifying = made.keys().any(|policy| policy.clients.is_some());
        let challenge = challenge.filter(|_| verifying);
        Ok(match (made.len(), &challenge) {
            (1, None) => Self::Uniform(of[&listener.default_site].clone()),
            _ => Self::BySite { of, challenge },
        })
    }

    pub(super) fn uniform(&self) -> Option<Arc<ServerConfig>> {
        match self {
            Self::Uniform(config) => Some(config.clone()),
            Self::BySite { .. } => None,
        }
    }

    /// For a client that said `hello` to one of the listener's sites.
    pub(super) fn choose(&self, site: SiteIndex, hello: &ClientHello<'_>) -> Choice {
        match self {
            Self::Uniform(config) => Choice::Requests(config.clone()),
            Self::BySite { of, challenge } => match challenge {
                Some(config) if Challenges::concerns(hello) => Choice::Challenge(config.clone()),
                _ => Choice::Requests(of[&site].clone()),
            },
        }
    }
}
