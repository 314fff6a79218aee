//! TLS of a site.

use serde::{Deserialize, Serialize};

use super::{Acme, CertificateIndex, ClientVerification};

/// `[sites.ssl]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteTls {
    pub certificate: CertificateIndex,
    /// Others for the same names, with keys of other kinds: a client is shown one that it understands.
    pub alternatives: Vec<CertificateIndex>,
    pub min_version: TlsVersion,
    /// `client_ca` and what belongs to it; None: clients need no certificate.
    pub clients: Option<Box<ClientVerification>>,
    /// How BWS gets the certificate by itself; None: the operator does.
    pub acme: Option<Box<Acme>>,
}

impl SiteTls {
    /// All of the site.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateIndex> {
        let others = self.alternatives.iter().copied();
        std::iter::once(self.certificate).chain(others)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}
