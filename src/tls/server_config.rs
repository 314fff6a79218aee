//! From checked certificates to what rustls serves.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::version::{TLS12, TLS13};

use super::challenges::{self, Challenges};
use super::keys;
use super::policies::Policies;
use super::resolver::{CertificateByName, NameTable};
use super::tickets::Tickets;
use crate::config::types::{Config, Listener, SiteIndex, TlsPolicy, TlsVersion};

/// A certificate that the master accepted and rustls does not.
#[derive(Debug, thiserror::Error)]
#[error("certificate '{file}' cannot be served: {source}")]
pub struct TlsError {
    pub(super) file: String,
    pub(super) source: rustls::Error,
}

/// The TLS side of one listener.
pub struct TlsListener {
    /// Under whose rules a handshake is made, by server name.
    sites: NameTable<SiteIndex>,
    policies: Policies,
}

impl TlsListener {
    /// The TLS side of `listener`; `None` for cleartext.
    pub fn new(
        config: &Config,
        listener: &Listener,
        tickets: &Arc<Tickets>,
        challenges: Option<&Arc<Challenges>>,
    ) -> Result<Option<Self>, TlsError> {
        let default = &config.sites[listener.default_site as usize];
        if !listener.tls {
            return Ok(None);
        }
        let default_tls = default
            .tls
            .as_ref()
            .expect("all sites of a TLS listener have TLS");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let loaded = keys::load(config, listener, &provider)?;
        let mut keys = NameTable::new(loaded[&default_tls.certificate].clone());
        let mut sites = NameTable::new(listener.default_site);
        for &index in &listener.sites {
            let site = &config.sites[index as usize];
            let Some(tls) = &site.tls else { continue };
            for pattern in &site.hostnames {
                keys.insert(pattern, loaded[&tls.certificate].clone());
                sites.insert(pattern, index);
            }
        }
        let make = Factory {
            provider,
            keys: Arc::new(CertificateByName {
                names: keys,
                challenges: challenges.cloned(),
            }),
            tickets: tickets.clone(),
        };
        let policies = Policies::new(config, listener, |policy| make.config(policy));
        Ok(Some(Self { sites, policies }))
    }

    /// The configuration of every handshake; None: [`Self::choose`] says which, once the client has said hello.
    pub fn uniform(&self) -> Option<Arc<ServerConfig>> {
        self.policies.uniform()
    }

    /// The configuration for a client that said `hello`.
    pub fn choose(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        self.policies.of(self.site(hello.server_name()))
    }

    /// The site under whose rules a handshake with this server name is made.
    pub fn site(&self, server_name: Option<&str>) -> SiteIndex {
        let name = server_name.map(str::to_ascii_lowercase);
        *self.sites.find(name.as_deref())
    }
}

struct Factory {
    provider: Arc<CryptoProvider>,
    keys: Arc<CertificateByName>,
    tickets: Arc<Tickets>,
}

impl Factory {
    fn config(&self, policy: TlsPolicy<'_>) -> Arc<ServerConfig> {
        let versions: &[_] = match policy.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions)
            .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(self.keys.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if self.keys.challenges.is_some() {
            config.alpn_protocols.push(challenges::PROTOCOL.to_vec());
        }
        // Resumption is by tickets alone: nothing to keep, nothing to share between threads.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = self.tickets.clone();
        Arc::new(config)
    }
}
