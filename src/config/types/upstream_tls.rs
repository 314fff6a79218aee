//! How upstreams are spoken to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is spoken on a connection to an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpstreamProtocol {
    /// `http://`, `unix:`
    #[default]
    Http1,
    /// `h2c://`: HTTP/2 in cleartext, by prior knowledge (RFC 9113 section 3.3).
    Http2,
    /// `https://`
    Tls(UpstreamTls),
}

/// `[sites.proxy.tls]`, for one upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpstreamTls {
    /// Off: anybody's certificate is believed.
    pub verify: bool,
    /// Who may vouch for the upstream.
    pub trust: TrustId,
    /// The name that the certificate has to be for, sent as SNI unless it is an address.
    pub server_name: String,
    /// Offer HTTP/2 by ALPN.
    pub http2: bool,
}

/// Names authorities by their content: equal names are equal authorities, in every configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrustId(pub String);

/// Authorities whose certificates are believed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    pub id: TrustId,
    /// DER.
    pub authorities: Vec<Vec<u8>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trust")
            .field("id", &self.id)
            .field("authorities", &self.authorities.len())
            .finish()
    }
}
