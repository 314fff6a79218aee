//! What stands between a request and its content.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a site does with a request before its content, and with the response after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Middleware {
    /// `[sites.access]`: `allow_ips` and `deny_ips`.
    pub addresses: Option<Box<AddressRules>>,
    pub rate_limit: Option<Box<RateLimit>>,
    /// Send clients that came without TLS to https on this port.
    pub https_port: Option<u16>,
    pub redirects: Vec<Redirect>,
    pub cors: Option<Box<Cors>>,
    /// `[sites.access]`: `require_auth` and what belongs to it.
    pub basic_auth: Option<Box<BasicAuth>>,
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

/// `[sites.access_control]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// At least one.
    pub origins: Vec<OriginPattern>,
    /// `*` for any.
    pub methods: Vec<String>,
    /// Lower case; `*` for any.
    pub headers: Vec<String>,
    /// Never with [`OriginPattern::Any`].
    pub credentials: bool,
    /// How long browsers may keep the answer to a preflight.
    pub max_age: Option<Duration>,
}

/// Origins as browsers write them: lower case, without the scheme's own port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginPattern {
    Any,
    /// `https://app.example.com`.
    Exact(String),
    /// `https://*.example.com`, kept as `https` and `example.com` with its port; http and https without a scheme.
    Subdomains {
        scheme: Option<String>,
        domain: String,
    },
}

/// `[sites.rate_limit]` or `[security.rate_limiting]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// None: only the lists count.
    pub rate: Option<Rate>,
    /// How long a client that went too far is refused; zero: until it may go on.
    pub block_duration: Duration,
    /// Who is never limited.
    pub whitelist: Vec<Network>,
    /// Who is always refused.
    pub blacklist: Vec<Network>,
}

/// How fast a client may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// At least 1.
    pub requests_per_minute: u32,
    /// Requests at once of a client that was quiet, at least 1.
    pub burst_size: u32,
}

/// Names and passwords, RFC 7617.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasicAuth {
    /// What browsers show; without control characters.
    pub realm: String,
    pub file: PasswordFileIndex,
}

/// Points into `Config::password_files`.
pub type PasswordFileIndex = u32;

/// A file of names and passwords, read by the master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordFile {
    pub path: PathBuf,
    /// No name twice.
    pub users: Vec<User>,
}

/// `Debug` does not show the hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Not empty, without a colon.
    pub name: String,
    /// bcrypt or SHA-crypt in the form of crypt(5), checked.
    pub hash: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("User");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}
