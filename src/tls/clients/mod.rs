//! Certificates of clients: whom a site lets in, for how long a session vouches for them, and what is told of them.

mod der;
mod identity;
mod name;
mod session;
mod tickets;
mod version1;

pub use identity::Identity;
pub(super) use tickets::ClientTickets;

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use self::version1::WithVersion1;
use crate::config::types::{ClientVerification, Config};

/// What the master accepted of a `client_ca` and rustls does not.
#[derive(Debug, thiserror::Error)]
#[error("'client_ca' cannot be used: {0}")]
pub struct UnusableAuthority(rustls::Error);

/// Verifies clients as a site wants it. Of every certificate in a chain the authority must have a list of those that it
/// took back, in date, where there are lists at all.
pub(super) fn verifier(
    config: &Config,
    wanted: &ClientVerification,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, UnusableAuthority> {
    let trust = config.trusts.iter().find(|it| it.id == wanted.trust);
    let authorities = trust.map_or(&[][..], |trust| &trust.authorities);
    let mut roots = RootCertStore::empty();
    for der in authorities {
        roots.add(der.clone().into()).map_err(UnusableAuthority)?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if !wanted.required {
        builder = builder.allow_unauthenticated();
    }
    if let Some(id) = &wanted.revocations {
        let found = config.revocations.iter().find(|it| it.id == *id);
        let lists = found.map_or(&[][..], |found| &found.lists);
        builder = builder
            .with_crls(lists.iter().map(|der| der.to_vec().into()))
            .enforce_revocation_expiration();
    }
    let built = builder.build();
    let inner =
        built.map_err(|error| UnusableAuthority(rustls::Error::General(error.to_string())))?;
    Ok(match (trust, &wanted.revocations) {
        (Some(trust), None) => Arc::new(WithVersion1 {
            inner,
            authorities: trust.clone(),
            algorithms: provider.signature_verification_algorithms,
        }),
        _ => inner,
    })
}
