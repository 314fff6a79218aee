//! Certificates and their keys, parsed and matched by the master.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Der;

/// A certificate chain with its key.
///
/// Chain, key and staple come first: who only wants to serve them ([`super::Material`]) reads no further.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The leaf first. Empty while BWS has not got the certificate yet: a worker shows one of its own instead.
    pub chain: Vec<Der>,
    pub key: PrivateKey,
    pub staple: Option<Staple>,
    /// None: there is no certificate yet.
    pub kind: Option<KeyKind>,
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
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
    /// SHA-256 over everything above, in hexadecimal.
    pub hash: String,
}

/// A private key, by its container format. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrivateKey {
    Pkcs8(Der),
    Pkcs1(Der),
    Sec1(Der),
}

/// What the authority says of a certificate's state, for clients that ask (OCSP, RFC 6960; RFC 6066 section 8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staple {
    /// An OCSPResponse.
    pub response: Der,
    /// Not to be shown after this, seconds since the epoch.
    pub next_update: i64,
}

/// What a certificate's key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyKind {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    Rsa,
}

impl KeyKind {
    /// As metrics and status name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }
}

impl Certificate {
    /// What stands in for a certificate that is not in its file yet.
    pub fn placeholder(file: PathBuf) -> Self {
        Self {
            chain: Vec::new(),
            key: PrivateKey::Pkcs8(Der::default()),
            staple: None,
            kind: None,
            cert_file: file.clone(),
            key_file: file,
            names: Vec::new(),
            issuer: String::new(),
            authority: None,
            not_before: 0,
            not_after: 0,
            hash: String::new(),
        }
    }

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
