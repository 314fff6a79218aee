//! What a site asks of its clients' side of TLS.

use serde::{Deserialize, Serialize};

use super::{SiteTls, TlsVersion, TrustId};

/// `client_ca` and the keys beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientVerification {
    /// Who vouches for clients.
    pub trust: TrustId,
    /// A client without a certificate is refused. (A wrong certificate always is.)
    pub required: bool,
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
