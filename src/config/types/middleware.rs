//! What stands between a request and its content.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a site does with a request before its content, and with the response after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Middleware {
    /// `[sites.access]`: `allow_ips` and `deny_ips`.
    pub addresses: Option<AddressRules>,
    /// Send clients that came without TLS to https on this port.
    pub https_port: Option<u16>,
    pub redirects: Vec<Redirect>,
}

/// Addresses that share their first `prefix` bits; the others of `address` are 0. An IPv4 network is never written as
/// a v4-mapped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub address: IpAddr,
    /// At most 32 or 128.
    pub prefix: u8,
}

/// Who may come at all. What both lists name is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRules {
    /// Empty: everybody.
    pub allow: Vec<Network>,
    pub deny: Vec<Network>,
}

/// One of `[[sites.redirects]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// A path, percent-encoded.
    pub from: String,
    /// `from` is the beginning of the path.
    pub is_prefix: bool,
    /// A path or a URL. A `*`, only with a prefix and never in the host, stands for the rest of the path.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}
