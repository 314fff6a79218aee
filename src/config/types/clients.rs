//! What a site asks of its clients' side of TLS.

use serde::{Deserialize, Serialize};

use super::{Der, SiteTls, TlsVersion, TrustId};

/// Certificates that their authorities took back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    pub id: RevocationsId,
    /// DER (RFC 5280 section 5), one for each authority.
    pub lists: Vec<Der>,
}

/// Names lists by their content, as [`TrustId`] does authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RevocationsId(pub String);

impl std::fmt::Debug for Revocations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Revocations")
            .field("id", &self.id)
            .field("lists", &self.lists.len())
            .finish()
    }
}

/// `client_ca` and the keys beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientVerification {
    /// Who vouches for clients.
    pub trust: TrustId,
    /// A client without a certificate is refused. (A wrong certificate always is.)
    pub required: bool,
    /// Every certificate of a client's chain has to be on none of these, and its authority to have one.
    pub revocations: Option<RevocationsId>,
}

/// What is settled by a handshake beside the certificate that is shown: sites whose policies are equal may share a
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TlsPolicy<'a> {
    pub min_version: TlsVersion,
    pub clients: Option<&'a ClientVerification>,
}

impl SiteTls {
    pub fn policy(&self) -> TlsPolicy<'_> {
        TlsPolicy {
            min_version: self.min_version,
            clients: self.clients.as_deref(),
        }
    }
}
