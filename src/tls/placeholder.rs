//! What a site shows until its certificate is there: never cleartext on a port for TLS.

use std::sync::OnceLock;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;

/// Says to whoever looks at it what it is.
const NAME: &str = "certificate-not-yet-issued.invalid";

/// A certificate signed by itself, which no client trusts; one for all sites of this process.
pub(super) fn shared(provider: &CryptoProvider) -> Result<CertifiedKey, rustls::Error> {
    static SHARED: OnceLock<CertifiedKey> = OnceLock::new();
    match SHARED.get() {
        Some(made) => Ok(made.clone()),
        None => make(provider).map(|made| SHARED.get_or_init(|| made).clone()),
    }
}

fn make(provider: &CryptoProvider) -> Result<CertifiedKey, rustls::Error> {
    let mut params = CertificateParams::new([NAME.to_owned()]).map_err(unexpected)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    self_signed(params, provider)
}

pub(super) fn self_signed(
    params: CertificateParams,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unexpected)?;
    let certificate = params.self_signed(&key).map_err(unexpected)?;
    let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let signer = provider.key_provider.load_private_key(der)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
}

pub(super) fn unexpected(error: rcgen::Error) -> rustls::Error {
    rustls::Error::General(error.to_string())
}
