//! TLS of a site, and certificates.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Acme, CertificateIndex, ClientVerification};

/// `[sites.ssl]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteTls {
    pub certificate: CertificateIndex,
    pub min_version: TlsVersion,
    /// `client_ca` and what belongs to it; None: clients need no certificate.
    pub clients: Option<Box<ClientVerification>>,
    /// How BWS gets the certificate by itself; None: the operator does.
    pub acme: Option<Box<Acme>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// A certificate chain with its key, parsed and matched by the master.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// DER, the leaf first. Empty while BWS has not got the certificate yet: a worker shows one of its own instead.
    pub chain: Vec<Vec<u8>>,
    pub key: PrivateKey,
    /// Subject alternative names (DNS names and IP addresses), lower case.
    pub names: Vec<String>,
    /// Who made it, as X.509 writes it.
    pub issuer: String,
    /// The directory of the authority that BWS got it from; None: a file of the operator's.
    pub authority: Option<String>,
    /// Seconds since the epoch.
    pub not_before: i64,
    /// Seconds since the epoch.
    pub not_after: i64,
}

/// DER of a private key, by its container format. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrivateKey {
    Pkcs8(Vec<u8>),
    Pkcs1(Vec<u8>),
    Sec1(Vec<u8>),
}

impl Certificate {
    /// There is none yet.
    pub fn is_placeholder(&self) -> bool {
        self.chain.is_empty()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("cert_file", &self.cert_file)
            .field("names", &self.names)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
