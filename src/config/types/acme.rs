//! A certificate that BWS gets by itself (ACME, RFC 8555).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[sites.ssl.acme]`, when it acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acme {
    /// What the certificate is to be for: host names and IP addresses, lower case, sorted; at least one.
    pub names: Vec<String>,
    /// Of the authority, https.
    pub directory_url: String,
    /// DER of the certificates that the authority's own server is trusted by; empty: those of the system.
    pub roots: Vec<Vec<u8>>,
    pub email: Option<String>,
    pub external_account: Option<ExternalAccount>,
    pub challenge: AcmeChallenge,
    /// Where the certificate is kept, with its key: one PEM file, so that both change at once.
    pub file: PathBuf,
    /// The folder of the accounts.
    pub accounts: PathBuf,
}

/// How the authority is shown whose the names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcmeChallenge {
    /// By an answer on port 80 (RFC 8555 section 8.3).
    Http01,
    /// By a handshake on port 443 (RFC 8737).
    TlsAlpn01,
}

/// An account that the operator has with the authority already (RFC 8555 section 7.3.4). `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalAccount {
    pub kid: String,
    pub hmac_key: Vec<u8>,
}

impl std::fmt::Debug for ExternalAccount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ExternalAccount")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// What a worker says to an authority that looks whose a name is, while an order is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChallengeAnswer {
    /// To `GET /.well-known/acme-challenge/TOKEN`.
    Http {
        token: String,
        authorization: String,
    },
    /// To a handshake for `name` with the protocol `acme-tls/1`: SHA-256 of the key authorization.
    Tls { name: String, digest: Vec<u8> },
}
