//! A configuration for each policy that the sites of a listener have.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ClientHello;

use super::challenges::Challenges;
use super::clients::UnusableAuthority;

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
        make: impl Fn(TlsPolicy<'_>) -> Result<Arc<ServerConfig>, UnusableAuthority>,
    ) -> Result<Self, UnusableAuthority> {
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

#[cfg(test)]
mod tests {
    use rustls::ClientConnection;
    use rustls::server::Acceptor;

    use super::*;

    fn server() -> Arc<ServerConfig> {
        let resolver = rustls::server::ResolvesServerCertUsingSni::new();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = builder.with_no_client_auth();
        Arc::new(builder.with_cert_resolver(Arc::new(resolver)))
    }

    /// Whether a client that offers these protocols gets an authority's handshake.
    fn is_challenge(policies: &Policies, protocols: &[&[u8]]) -> bool {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let roots = rustls::RootCertStore::empty();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        let name = "a.test".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut said = Vec::new();
        client.write_tls(&mut said).unwrap();
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &said[..]).unwrap();
        let accepted = acceptor.accept().ok().flatten().unwrap();
        let choice = policies.choose(0, &accepted.client_hello());
        matches!(choice, Choice::Challenge(_))
    }

    #[test]
    fn who_speaks_any_protocol_of_requests_is_no_authority() {
        let policies = Policies::BySite {
            of: HashMap::from([(0, server())]),
            challenge: Some(server()),
        };
        let challenge = crate::tls::challenges::PROTOCOL;
        assert!(is_challenge(&policies, &[challenge]));
        assert!(!is_challenge(&policies, &[challenge, b"h2"]));
        assert!(!is_challenge(&policies, &[b"http/1.1"]));
        assert!(!is_challenge(&policies, &[]));
    }
}
