//! TLS of a site.

use serde::{Deserialize, Serialize};

use super::{Acme, CertificateIndex};

/// `[sites.ssl]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteTls {
    pub certificate: CertificateIndex,
    pub min_version: TlsVersion,
    /// How BWS gets the certificate by itself; None: the operator does.
    pub acme: Option<Box<Acme>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}
