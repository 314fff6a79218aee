//! The configuration in force: every default filled in, every reference resolved, nothing left to check.
//!
//! These values cross the process boundary (a sealed memfd, postcard-encoded), so a worker runs exactly what the
//! master checked and never reads a configuration, certificate or key file itself.

mod acme;
mod balancing;
mod certificate;
mod certificates;
mod clients;
mod content;
mod der;
mod limits;
mod middleware;
mod stamp;
mod tls;
mod upstream_tls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use acme::{Acme, AcmeChallenge, ChallengeAnswer, ExternalAccount};
pub use balancing::{Balancing, BalancingMethod, HealthCheck, Retry};
pub use certificate::{Certificate, KeyKind, PrivateKey, Staple};
pub use certificates::{Certificates, Entry as CertificateEntry, Material};
pub use clients::{ClientVerification, Revocations, RevocationsId, TlsPolicy};
pub use content::{Algorithm, Caching, Compression, ErrorPage, MediaType};
pub use der::Der;
pub use limits::HeadLimits;
pub use middleware::{
    AddressRules, BasicAuth, Cors, Middleware, Network, OriginPattern, PasswordFile,
    PasswordFileIndex, Rate, RateLimit, Redirect, User,
};
pub use stamp::Stamp;
pub use tls::{SiteTls, TlsVersion};
pub use upstream_tls::{Trust, TrustId, UpstreamProtocol, UpstreamTls};

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub server: Server,
    pub performance: Performance,
    pub logging: Logging,
    pub security: Security,
    pub management: Management,
    pub monitoring: Monitoring,
    /// `[proxy] resolver`: the name servers that upstreams' names are asked of; none: as the system does.
    pub resolver: Vec<SocketAddr>,
    /// In the order of declaration. A [`SiteIndex`] points in here. Not serialized with the rest: whoever does so takes
    /// care of them in parts.
    #[serde(skip)]
    pub sites: Vec<Site>,
    /// One for each distinct `listen` of the sites, in the order of first use.
    pub listeners: Vec<Listener>,
    /// Each distinct certificate and key pair once. A [`CertificateIndex`] points in here. Not serialized with the rest.
    #[serde(skip)]
    pub certificates: Certificates,
    /// Who may vouch for the sites' upstreams and clients.
    pub trusts: Vec<Trust>,
    /// What they took back of clients' certificates.
    pub revocations: Vec<Revocations>,
    /// Each distinct file of names and passwords once. A [`PasswordFileIndex`] points in here.
    pub password_files: Vec<PasswordFile>,
    /// Paths whose change means a new configuration: the main file, included files and the folders where an `include`
    /// pattern looks for others, certificates and keys. Absolute.
    pub sources: Vec<PathBuf>,
    /// Hexadecimal SHA-256 over everything above: equal hashes serve alike.
    pub hash: String,
}

pub type SiteIndex = u32;
pub type CertificateIndex = u32;

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub name: String,
    pub version: Option<String>,
    pub description: Option<String>,
    /// Worker processes, at least 1.
    pub workers: u32,
    pub shutdown_timeout: Duration,
    pub ready_timeout: Duration,
    pub watch_config: bool,
}

/// `[performance]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Performance {
    /// Threads of each worker process, at least 1.
    pub worker_threads: u32,
    /// Connections of each worker process; beyond it accept pauses.
    pub max_connections: u32,
    /// How long a connection may be idle between requests.
    pub keep_alive_timeout: Duration,
    /// Over how long the rate of a client that is waited for is taken.
    pub request_timeout: Duration,
    /// How long a client may take to send a request head (408 beyond it).
    pub header_timeout: Duration,
    /// Bytes a second that a client must send of a body, or take of a response; 0: any.
    pub min_rate: u64,
    /// Of a request's head: [`HeadLimits`].
    pub max_header_size: u32,
    pub max_headers: u32,
    pub max_uri_length: u32,
    /// Bytes.
    pub read_buffer_size: u32,
    /// Bytes.
    pub write_buffer_size: u32,
}

/// `[logging]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    pub level: LogLevel,
    pub output: LogOutput,
    pub format: AccessLogFormat,
    pub access_log: Option<PathBuf>,
    pub error_log: Option<PathBuf>,
    /// Where `output = "file"` writes.
    pub file_path: PathBuf,
    pub log_requests: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogOutput {
    /// The journal when systemd connected our stderr to it, else stderr.
    Auto,
    Journald,
    Stdout,
    Stderr,
    File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessLogFormat {
    Combined,
    Common,
    Json,
}

/// `[security]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    pub hide_server_header: bool,
    /// Bytes of a request body (413 beyond it).
    pub max_request_size: u64,
    /// Added to every response that does not carry the name already.
    pub security_headers: Vec<Header>,
    /// For all sites together.
    pub rate_limiting: Option<RateLimit>,
    /// Whose word on their clients is believed.
    pub trusted_proxies: Vec<Network>,
    /// The trusted proxies begin each connection with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Every request has an `X-Request-Id`.
    pub request_id: bool,
}

/// A response header, checked to be valid in HTTP: lower-case name, visible ASCII or obs-text value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// `[management]`: the TCP side of the management API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Management {
    pub enabled: bool,
    pub host: IpAddr,
    pub port: u16,
    pub api_key: Option<String>,
}

/// `[monitoring]`: paths that every site answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitoring {
    pub enabled: bool,
    pub health_endpoint: String,
    pub detailed_endpoint: String,
    /// Only when the configuration names it; the management API always has `/metrics`.
    pub metrics_endpoint: Option<String>,
}

/// `[[sites]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Unique: the identity that state is kept under.
    pub name: String,
    /// At least one; unique among the sites of the same listener.
    pub hostnames: Vec<HostPattern>,
    pub listen: ListenAddress,
    /// Answers unknown hosts on its listener. Exactly one site of a listener has it.
    pub default: bool,
    pub static_files: Option<StaticFiles>,
    /// On every response of the site, proxied ones too.
    pub headers: Vec<Header>,
    pub middleware: Middleware,
    pub proxy: Option<Box<Proxy>>,
    pub tls: Option<SiteTls>,
    pub compression: Option<Box<Compression>>,
    pub cache: Caching,
    /// Each status once.
    pub error_pages: Vec<ErrorPage>,
    /// Instead of the one of `[security]`.
    pub max_request_size: Option<u64>,
    /// Instead of the one of `[performance]`.
    pub request_timeout: Option<Duration>,
    /// No static files: what no route and no endpoint takes is 404.
    pub api_only: bool,
    /// SHA-256 over the site and the certificate that it uses, in hexadecimal.
    pub hash: String,
}

/// Which hosts a site answers. Lower case, without a port or a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostPattern {
    /// `www.example.com`, `192.0.2.1`, `[2001:db8::1]`.
    Exact(String),
    /// `*.example.com`, kept as `example.com`: one or more labels in front of it.
    Wildcard(String),
    /// `_`: any host.
    Any,
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => write!(formatter, "{name}"),
            Self::Wildcard(name) => write!(formatter, "*.{name}"),
            Self::Any => write!(formatter, "_"),
        }
    }
}

/// What a site listens on, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ListenAddress {
    /// `port = 8080`: the sockets held on that port, whatever their address; dual-stack wildcard when the master binds it.
    Port(u16),
    /// `listen = "127.0.0.1:8080"`.
    Address(SocketAddr),
    /// `listen = "unix:/run/bws/site.sock"`.
    Unix(PathBuf),
}

/// All sites of one listening address: a connection's socket decides which of them can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub address: ListenAddress,
    /// All sites of a listener speak TLS, or none does.
    pub tls: bool,
    pub sites: Vec<SiteIndex>,
    /// One of `sites`.
    pub default_site: SiteIndex,
}

/// `static_dir` and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticFiles {
    /// Absolute.
    pub root: PathBuf,
    pub index_files: Vec<String>,
    /// Follow symbolic links, but never out of `root`.
    pub follow_symlinks: bool,
    /// List folders that have no index file.
    pub directory_listing: bool,
    /// Each extension once.
    pub media_types: Vec<MediaType>,
}

/// `[sites.proxy]`, enabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// Servers of the same name, in the order of first use.
    pub pools: Vec<Pool>,
    /// Longest prefix first.
    pub routes: Vec<Route>,
    /// Without routes: what `static_files` does not hold goes to this pool.
    pub fallback_pool: Option<u32>,
    pub balancing: Balancing,
    pub health_check: Option<HealthCheck>,
    pub retry: Retry,
    /// Lead redirects to an upstream's own address back to the site.
    pub rewrite_redirects: bool,
    pub interim_responses: InterimResponses,
    pub timeout: ProxyTimeout,
    pub headers: ProxyHeaders,
}

/// Which clients get interim responses of upstreams (RFC 9110 section 15.2): there are some of HTTP/1.1 that take 103 for
/// the final one (RFC 8297 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterimResponses {
    All,
    Http2,
    None,
}

/// Upstream servers that share a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    pub name: String,
    pub servers: Vec<Upstream>,
}

/// One upstream server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    pub address: UpstreamAddress,
    /// The `Host` sent when `preserve_host` is off: host, and port unless it is the scheme's own.
    pub authority: String,
    /// Path of the URL without a trailing slash, put before every request's path; empty for none.
    pub base_path: String,
    /// At least 1.
    pub weight: u32,
    pub protocol: UpstreamProtocol,
    /// Requests in flight, of each worker process.
    pub max_conns: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpstreamAddress {
    /// Host name or address (IPv6 without brackets), and port.
    Http { host: String, port: u16 },
    /// `unix:/path`; cleartext HTTP/1.1.
    Unix(PathBuf),
    /// `http+srv://_http._tcp.app.example`: the targets of the SRV records of this name (RFC 2782). Such an upstream is
    /// alone in its pool.
    Service(String),
}

/// One of `[[sites.proxy.routes]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Starts with a slash. Matches whole segments unless it ends in a slash, as `/api` matches `/api` and `/api/x` only.
    pub path: String,
    /// Index into [`Proxy::pools`].
    pub pool: u32,
    /// Take `path` away before the request goes upstream; the rest keeps its leading slash.
    pub strip_prefix: bool,
    /// Instead of `path`; without a trailing slash when `path` has none.
    pub rewrite_target: Option<String>,
    /// Between bytes; overrides [`ProxyTimeout::read`].
    pub timeout: Option<Duration>,
    /// `Upgrade` requests may pass.
    pub websocket: bool,
    /// Instead of the site's.
    pub max_request_size: Option<u64>,
}

/// `[sites.proxy.timeout]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTimeout {
    pub connect: Duration,
    /// Between two reads from the upstream, not in total.
    pub read: Duration,
    /// Between two writes to the upstream, not in total.
    pub write: Duration,
    /// Without a byte in either direction, once the protocol was switched.
    pub tunnel: Duration,
}

/// `[sites.proxy.headers]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyHeaders {
    /// Send the client's `Host` (default true, as the upstream then builds right links).
    pub preserve_host: bool,
    /// `Forwarded`, RFC 7239.
    pub add_forwarded: bool,
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    pub add_x_forwarded: bool,
    /// What clients say in the headers that tell of their certificates is removed: some site verifies clients.
    pub guard_client_certificates: bool,
    /// Request header names to drop, lower case.
    pub remove: Vec<String>,
    /// Request headers to set.
    pub add: Vec<Header>,
}
