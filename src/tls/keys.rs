//! Certificates with their private keys, made ready for handshakes when the first client asks for them: the master has
//! checked them all, and ten thousand are not to hold a new worker up.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{placeholder, suites};
use crate::config::types::{CertificateIndex, Certificates, Material, PrivateKey};

/// The keys of all certificates of a configuration, each parsed once for all threads and listeners.
#[derive(Debug)]
pub struct Keys {
    certificates: Certificates,
    provider: Arc<CryptoProvider>,
    /// By the index of the certificate. None in it: it cannot be used, which was said.
    ready: Vec<OnceLock<Option<Ready>>>,
}

/// What handshakes show of a certificate.
#[derive(Debug)]
struct Ready {
    plain: Arc<CertifiedKey>,
    /// With what the authority says of it, and until when that may be shown, seconds since the epoch.
    stapled: Option<(Arc<CertifiedKey>, i64)>,
}

impl Keys {
    pub fn new(certificates: Certificates) -> Arc<Self> {
        let ready = certificates.len();
        Arc::new(Self {
            certificates,
            provider: suites::provider(),
            ready: (0..ready).map(|_| OnceLock::new()).collect(),
        })
    }

    pub(super) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(super) fn find(&self, index: CertificateIndex) -> Option<Arc<CertifiedKey>> {
        let ready = self.ready.get(index as usize)?;
        let ready = ready.get_or_init(|| self.load(index)).as_ref()?;
        Some(ready.now().clone())
    }

    fn load(&self, index: CertificateIndex) -> Option<Ready> {
        let material = self.certificates.material(index)?;
        match Ready::new(material, &self.provider) {
            Ok(ready) => Some(ready),
            Err(error) => {
                let certificate = self.certificates.find(index)?;
                let file = certificate.cert_file.display();
                tracing::error!("certificate '{file}' cannot be served: {error}");
                None
            }
        }
    }
}

impl Ready {
    fn new(mut material: Material, provider: &CryptoProvider) -> Result<Self, rustls::Error> {
        let staple = material.staple.take();
        let plain = certified_key(material, provider)?;
        let stapled = staple.map(|staple| {
            let mut stapled = plain.clone();
            stapled.ocsp = Some(staple.response.into());
            (Arc::new(stapled), staple.next_update)
        });
        Ok(Self {
            plain: Arc::new(plain),
            stapled,
        })
    }

    /// Clients take offence at a response that is out of date, not at none.
    fn now(&self) -> &Arc<CertifiedKey> {
        match &self.stapled {
            Some((stapled, until)) if now() <= *until => stapled,
            _ => &self.plain,
        }
    }
}

/// Seconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
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

#[cfg(test)]
mod tests {
    use std::thread;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::config::types::{Certificate, Staple};

    fn certificate(number: usize) -> Certificate {
        let params = CertificateParams::new([format!("{number}.test")]).unwrap();
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        Certificate {
            chain: vec![made.der().to_vec().into()],
            key: PrivateKey::Pkcs8(key.serialize_der().into()),
            ..Certificate::placeholder(format!("{number}.pem").into())
        }
    }

    /// As a worker has them.
    fn keys(certificates: Vec<Certificate>) -> Arc<Keys> {
        let held: Vec<_> = certificates.into_iter().map(Into::into).collect();
        let written = Certificates::from(held).write().unwrap().concat().leak();
        Keys::new(Certificates::lazy(written).unwrap())
    }

    #[test]
    fn each_is_made_once_whoever_asks_and_fits_its_certificate() {
        const COUNT: usize = 200;
        let keys = keys((0..COUNT).map(certificate).collect());
        let all = |start: usize| -> Vec<Arc<CertifiedKey>> {
            let turned = (0..COUNT).map(|index| (index + start) % COUNT);
            let mut found: Vec<_> = turned
                .map(|index| (index, keys.find(index as CertificateIndex).unwrap()))
                .collect();
            found.sort_by_key(|(index, _)| *index);
            found.into_iter().map(|(_, key)| key).collect()
        };
        thread::scope(|scope| {
            let others: Vec<_> = [0, 50, 100]
                .map(|start| {
                    scope.spawn({
                        let all = &all;
                        move || all(start)
                    })
                })
                .into_iter()
                .map(|one| one.join().unwrap())
                .collect();
            for (index, key) in all(150).iter().enumerate() {
                key.keys_match().unwrap();
                assert!(others.iter().all(|other| Arc::ptr_eq(&other[index], key)));
            }
        });
        assert!(keys.find(COUNT as CertificateIndex).is_none());
    }

    #[test]
    fn what_cannot_be_used_is_shown_to_nobody_and_a_placeholder_is() {
        let mut broken = certificate(0);
        broken.key = PrivateKey::Pkcs8(vec![0].into());
        let keys = keys(vec![broken, Certificate::placeholder("1.pem".into())]);
        assert!(keys.find(0).is_none());
        assert_eq!(keys.find(1).unwrap().cert.len(), 1);
    }

    #[test]
    fn a_response_out_of_date_is_not_stapled() {
        let stapled = |next_update| {
            let staple = Staple {
                response: vec![1].into(),
                next_update,
            };
            let mut certificate = certificate(0);
            certificate.staple = Some(staple);
            keys(vec![certificate]).find(0).unwrap().ocsp.clone()
        };
        assert_eq!(stapled(now() + 60), Some(vec![1]));
        assert_eq!(stapled(now() - 1), None);
    }
}
