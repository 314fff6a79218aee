//! From checked certificates to what rustls serves.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, ServerConfig, SupportedProtocolVersion, WantsVerifier};

use super::challenges::{self, Challenges};
use super::clients::{self, ClientTickets};
use super::keys;
use super::policies::{Choice, Policies};
use super::resolver::{CertificateByName, NameTable};
use super::suites;
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
        let provider = suites::provider();
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
        let challenge = challenges.map(|_| make.challenge());
        let make = |policy: TlsPolicy<'_>| make.config(config, policy);
        let policies = Policies::new(config, listener, challenge, make)?;
        Ok(Some(Self { sites, policies }))
    }

    /// The configuration of every handshake; None: [`Self::choose`] says which, once the client has said hello.
    pub fn uniform(&self) -> Option<Arc<ServerConfig>> {
        self.policies.uniform()
    }

    /// The configuration for a client that said `hello`.
    pub fn choose(&self, hello: &ClientHello<'_>) -> Choice {
        let site = self.site(hello.server_name());
        self.policies.choose(site, hello)
    }

    /// The site under whose rules a handshake with this server name is made.
    pub fn site(&self, server_name: Option<&str>) -> SiteIndex {
        let is_lower = |name: &&str| !name.bytes().any(|byte| byte.is_ascii_uppercase());
        match server_name.filter(is_lower) {
            None => {
                let name = server_name.map(str::to_ascii_lowercase);
                *self.sites.find(name.as_deref())
            }
            name => *self.sites.find(name),
        }
    }
}

struct Factory {
    provider: Arc<CryptoProvider>,
    keys: Arc<CertificateByName>,
    tickets: Arc<Tickets>,
}

impl Factory {
    fn config(
        &self,
        config: &Config,
        policy: TlsPolicy<'_>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let versions: &[_] = match policy.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder = self.builder(versions);
        let builder = match policy.clients {
            None => builder.with_no_client_auth(),
            Some(wanted) => builder.with_client_cert_verifier(clients::verifier(
                config,
                wanted,
                &self.provider,
            )?),
        };
        let mut made = builder.with_cert_resolver(self.keys.clone());
        made.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if self.keys.challenges.is_some() {
            made.alpn_protocols.push(challenges::PROTOCOL.to_vec());
        }
        made.ignore_client_order = true;
        // Resumption is by tickets alone: nothing to keep, nothing to share between threads.
        made.session_storage = Arc::new(NoServerSessionStorage {});
        made.ticketer = match policy.clients {
            None => self.tickets.clone(),
            Some(wanted) => Arc::new(ClientTickets::new(self.tickets.clone(), wanted)),
        };
        Ok(Arc::new(made))
    }

    /// For authorities where clients have to show a certificate: nothing is resumed, no other protocol is spoken.
    fn challenge(&self) -> Arc<ServerConfig> {
        let builder = self.builder(&[&TLS13, &TLS12]).with_no_client_auth();
        let mut made = builder.with_cert_resolver(self.keys.clone());
        made.alpn_protocols = vec![challenges::PROTOCOL.to_vec()];
        made.session_storage = Arc::new(NoServerSessionStorage {});
        Arc::new(made)
    }

    fn builder(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ServerConfig, WantsVerifier> {
        ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions)
            .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
    }
}
