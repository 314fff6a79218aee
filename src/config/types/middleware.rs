//! What stands between a request and its content.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a site does with a request before its content, and with the response after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Middleware {
    /// `[sites.access]`: `allow_ips` and `deny_ips`.
    pub addresses: Option<AddressRules>,
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
