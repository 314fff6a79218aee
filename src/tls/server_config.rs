//! From checked certificates to what rustls serves.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::version::{TLS12, TLS13};

use super::challenges::{self, Challenges};
use super::keys::Keys;
use super::resolver::{CertificateByName, NameTable, Shown};
use super::tickets::Tickets;
use crate::config::types::{Config, Listener, TlsVersion};

/// The TLS side of one listener.
pub enum TlsListener {
    /// All sites ask for the same protocol versions.
    Uniform(Arc<ServerConfig>),
    /// The server name decides about versions as well.
    ByName(Box<ConfigByName>),
}

/// A configuration for each protocol minimum, chosen by server name.
pub struct ConfigByName {
    versions: NameTable<TlsVersion>,
    tls12: Arc<ServerConfig>,
    tls13: Arc<ServerConfig>,
}

impl ConfigByName {
    /// The configuration for a client that said `hello`.
    pub fn choose(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        match self.versions.find(name.as_deref()) {
            TlsVersion::Tls12 => self.tls12.clone(),
            TlsVersion::Tls13 => self.tls13.clone(),
        }
    }
}

impl TlsListener {
    /// The TLS side of `listener`; `None` for cleartext.
    pub fn new(
        config: &Config,
        listener: &Listener,
        keys: &Arc<Keys>,
        tickets: &Arc<Tickets>,
        challenges: Option<&Arc<Challenges>>,
    ) -> Option<Self> {
        let default = &config.sites[listener.default_site as usize];
        if !listener.tls {
            return None;
        }
        let default_tls = default
            .tls
            .as_ref()
            .expect("all sites of a TLS listener have TLS");
        let mut names = NameTable::new(Shown::new(default_tls));
        let mut versions = NameTable::new(default_tls.min_version);
        for &index in &listener.sites {
            let site = &config.sites[index as usize];
            let Some(tls) = &site.tls else { continue };
            let shown = Shown::new(tls);
            for pattern in &site.hostnames {
                names.insert(pattern, shown.clone());
                versions.insert(pattern, tls.min_version);
            }
        }
        let mixed = listener.sites.iter().any(|&index| {
            let tls = &config.sites[index as usize].tls;
            tls.as_ref()
                .is_some_and(|tls| tls.min_version != default_tls.min_version)
        });
        let make = Factory {
            provider: keys.provider().clone(),
            keys: Arc::new(CertificateByName {
                names,
                keys: keys.clone(),
                challenges: challenges.cloned(),
            }),
            tickets: tickets.clone(),
        };
        Some(if mixed {
            let (tls12, tls13) = (
                make.config(TlsVersion::Tls12),
                make.config(TlsVersion::Tls13),
            );
            Self::ByName(Box::new(ConfigByName {
                versions,
                tls12,
                tls13,
            }))
        } else {
            Self::Uniform(make.config(default_tls.min_version))
        })
    }
}

struct Factory {
    provider: Arc<CryptoProvider>,
    keys: Arc<CertificateByName>,
    tickets: Arc<Tickets>,
}

impl Factory {
    fn config(&self, min_version: TlsVersion) -> Arc<ServerConfig> {
        let versions: &[_] = match min_version {
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
