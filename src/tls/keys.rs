//! Certificates with their private keys, made ready for handshakes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::{self, Builder, ScopedJoinHandle};

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::placeholder;
use super::server_config::TlsError;
use crate::config::types::{Certificate, CertificateIndex, Config, Listener, PrivateKey};

/// Fewer certificates are not worth a thread's while.
const SMALLEST_PART: usize = 64;
/// More threads hardly help.
const MOST_PARTS: usize = 8;

pub(super) type Keys = HashMap<CertificateIndex, Arc<CertifiedKey>>;

/// What the sites of a listener show, each certificate once; many are shared out among threads.
pub(super) fn load(
    config: &Config,
    listener: &Listener,
    provider: &CryptoProvider,
) -> Result<Keys, TlsError> {
    let sites = listener
        .sites
        .iter()
        .map(|&site| &config.sites[site as usize]);
    let named: BTreeSet<_> = sites
        .filter_map(|site| Some(site.tls.as_ref()?.certificate))
        .collect();
    let named: Vec<CertificateIndex> = named.into_iter().collect();
    let threads = config.performance.worker_threads as usize;
    let size = named
        .len()
        .div_ceil(threads.clamp(1, MOST_PARTS))
        .max(SMALLEST_PART);
    let (first, others) = named.split_at(size.min(named.len()));
    let load = |part: &[CertificateIndex]| load_part(config, part, provider);
    thread::scope(|scope| {
        let start = |part| (part, Builder::new().spawn_scoped(scope, move || load(part)));
        let helpers: Vec<_> = others.chunks(size).map(start).collect();
        let mut keys = load(first)?;
        for (part, helper) in helpers {
            keys.extend(match helper.map(ScopedJoinHandle::join) {
                Ok(Ok(more)) => more?,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // No thread could be started.
                Err(_) => load(part)?,
            });
        }
        Ok(keys)
    })
}

fn load_part(
    config: &Config,
    part: &[CertificateIndex],
    provider: &CryptoProvider,
) -> Result<Keys, TlsError> {
    let load = |&index: &CertificateIndex| {
        let certificate = &config.certificates[index as usize];
        match certified_key(certificate, provider) {
            Ok(key) => Ok((index, Arc::new(key))),
            Err(source) => Err(TlsError {
                file: certificate.cert_file.display().to_string(),
                source,
            }),
        }
    };
    part.iter().map(load).collect()
}

fn certified_key(
    certificate: &Certificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error> {
    if certificate.is_placeholder() {
        return placeholder::shared(provider);
    }
    let chain = certificate
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let key = match &certificate.key {
        PrivateKey::Pkcs8(der) => PrivateKeyDer::Pkcs8(der.clone().into()),
        PrivateKey::Pkcs1(der) => PrivateKeyDer::Pkcs1(der.clone().into()),
        PrivateKey::Sec1(der) => PrivateKeyDer::Sec1(der.clone().into()),
    };
    Ok(CertifiedKey::new(
        chain,
        provider.key_provider.load_private_key(key)?,
    ))
}
