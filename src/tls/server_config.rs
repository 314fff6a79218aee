//! From checked certificates to what rustls serves.

use std::borrow::Cow;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, ServerConfig, SupportedProtocolVersion, WantsVerifier};

use super::challenges::{self, Challenges};
use super::clients::{self, ClientTickets, UnusableAuthority};
use super::keys::Keys;
use super::policies::{Choice, Policies};
use super::resolver::{CertificateByName, NameTable, Named, Shown};
use super::tickets::Tickets;
use crate::config::types::{Config, Listener, SiteIndex, TlsPolicy, TlsVersion};

/// The TLS side of one listener.
pub struct TlsListener {
    names: Arc<NameTable<Named>>,
    policies: Policies,
}

impl TlsListener {
    /// The TLS side of `listener`; `None` for cleartext.
    pub fn new(
        config: &Config,
        listener: &Listener,
        keys: &Arc<Keys>,
        tickets: &Arc<Tickets>,
        challenges: Option<&Arc<Challenges>>,
    ) -> Result<Option<Self>, UnusableAuthority> {
        if !listener.tls {
            return Ok(None);
        }
        let names = Arc::new(names(config, listener));
        let make = Factory {
            provider: keys.provider().clone(),
            keys: Arc::new(CertificateByName {
                names: names.clone(),
                keys: keys.clone(),
                challenges: challenges.cloned(),
            }),
            tickets: tickets.clone(),
        };
        let challenge = challenges.map(|_| make.challenge());
        let make = |policy: TlsPolicy<'_>| make.config(config, policy);
        let policies = Policies::new(config, listener, challenge, make)?;
        Ok(Some(Self { names, policies }))
    }

    /// The configuration of every handshake; None: [`Self::choose`] says which, once the client has said hello.
    pub fn uniform(&self) -> Option<Arc<ServerConfig>> {
        self.policies.uniform()
    }

    /// The configuration for a client that said `hello`.
    pub fn choose(&self, hello: &ClientHello<'_>) -> Choice {
        let (site, _) = self.site(hello.server_name());
        self.policies.choose(site, hello)
    }

    /// The site under whose rules a handshake with this server name is made, and whether that is one of its names.
    pub fn site(&self, server_name: Option<&str>) -> (SiteIndex, bool) {
        let lower = server_name.map(
            |name| match name.bytes().any(|it| it.is_ascii_uppercase()) {
                true => Cow::Owned(name.to_ascii_lowercase()),
                false => Cow::Borrowed(name),
            },
        );
        match lower.and_then(|name| self.names.find_named(&name)) {
            Some(named) => (named.site, true),
            None => (self.names.find(None).site, false),
        }
    }
}

/// What belongs to the names of the listener's sites.
fn names(config: &Config, listener: &Listener) -> NameTable<Named> {
    let named = |site: SiteIndex| {
        let site_tls = config.sites[site as usize].tls.as_ref();
        let shown = site_tls.map(Shown::new)?;
        Some(Named { site, shown })
    };
    let default = named(listener.default_site).expect("all sites of a TLS listener have TLS");
    let mut names = NameTable::new(default);
    for &site in &listener.sites {
        let Some(named) = named(site) else { continue };
        for pattern in &config.sites[site as usize].hostnames {
            names.insert(pattern, named.clone());
        }
    }
    names
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
    ) -> Result<Arc<ServerConfig>, UnusableAuthority> {
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
