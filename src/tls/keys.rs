//! Certificates with their private keys, made ready for handshakes when the first client asks for them: the master has
//! checked them all, and ten thousand are not to hold a new worker up.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::placeholder;
use crate::config::types::{CertificateIndex, Config, Material, PrivateKey};

/// The keys of all certificates of a configuration, each parsed once for all threads and listeners.
#[derive(Debug)]
pub struct Keys {
    config: Arc<Config>,
    provider: Arc<CryptoProvider>,
    /// By the index of the certificate. None in it: it cannot be used, which was said.
    ready: Vec<OnceLock<Option<Arc<CertifiedKey>>>>,
}

impl Keys {
    pub fn new(config: Arc<Config>) -> Arc<Self> {
        let ready = config.certificates.len();
        Arc::new(Self {
            config,
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            ready: (0..ready).map(|_| OnceLock::new()).collect(),
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(super) fn find(&self, index: CertificateIndex) -> Option<Arc<CertifiedKey>> {
        let ready = self.ready.get(index as usize)?;
        ready.get_or_init(|| self.load(index)).clone()
    }

    fn load(&self, index: CertificateIndex) -> Option<Arc<CertifiedKey>> {
        let material = self.config.certificates.material(index)?;
        match certified_key(material, &self.provider) {
            Ok(key) => Some(Arc::new(key)),
            Err(error) => {
                let certificate = self.config.certificates.find(index)?;
                let file = certificate.cert_file.display();
                tracing::error!("certificate '{file}' cannot be served: {error}");
                None
            }
        }
    }
}

fn certified_key(
    material: Material,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error> {
    if material.chain.is_empty() {
        return placeholder::shared(provider);
    }
    let chain = material.chain.into_iter().map(|der| match der {
        std::borrow::Cow::Borrowed(der) => CertificateDer::from(der),
        std::borrow::Cow::Owned(der) => CertificateDer::from(der),
    });
    let key = match material.key {
        PrivateKey::Pkcs8(der) => PrivateKeyDer::Pkcs8(Vec::from(der).into()),
        PrivateKey::Pkcs1(der) => PrivateKeyDer::Pkcs1(Vec::from(der).into()),
        PrivateKey::Sec1(der) => PrivateKeyDer::Sec1(Vec::from(der).into()),
    };
    let signer = provider.key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(chain.collect(), signer))
}
