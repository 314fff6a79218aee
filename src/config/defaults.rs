//! What a configuration means where it says nothing, and the limits of what it may say.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::types::{
    AccessLogFormat, Algorithm, BalancingMethod, HeadLimits, LogLevel, LogOutput, TlsVersion,
};

/// Bytes of one configuration file.
pub(super) const MAX_FILE_SIZE: u64 = 64 << 20;
/// Bytes of one certificate or key file.
pub(super) const MAX_PEM_SIZE: u64 = 1 << 20;
/// Where certificates and accounts are kept beside a configuration that no service runs.
pub(super) const STATE_FOLDER: &str = "bws-state";
/// Let's Encrypt.
pub(super) const ACME_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Its test service.
pub(super) const ACME_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
/// Names that authorities put into one certificate.
pub(super) const MAX_ACME_NAMES: usize = 100;
/// Bytes of one file of names and passwords: a hundred thousand users.
pub(super) const MAX_PASSWORD_FILE_SIZE: u64 = 16 << 20;
/// Files that one configuration may include.
pub(super) const MAX_INCLUDED_FILES: usize = 65_536;
/// Names that all its patterns may fit, folders on the way included: more is a search through a whole file system.
pub(super) const MAX_INCLUDED_NAMES: usize = 131_072;

pub(super) const SERVER_NAME: &str = "BWS";
pub(super) const WORKERS: u32 = 1;
pub(super) const WORKERS_RANGE: RangeInclusive<u64> = 1..=256;
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const WORKER_THREADS_RANGE: RangeInclusive<u64> = 1..=1024;
pub(super) const MAX_CONNECTIONS: u32 = 10_000;
pub(super) const MAX_CONNECTIONS_RANGE: RangeInclusive<u64> = 1..=10_000_000;
pub(super) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(60);
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes a second. Any network does better; it is what other servers ask for as well.
pub(super) const MIN_RATE: u64 = 240;
pub(super) const MIN_RATE_RANGE: RangeInclusive<u64> = 0..=1 << 30;
pub(super) const MAX_HEADER_SIZE_RANGE: RangeInclusive<u64> =
    1 << 10..=HeadLimits::LARGEST_SIZE as u64;
/// No browser sends less.
pub(super) const MAX_HEADERS_RANGE: RangeInclusive<u64> = 10..=HeadLimits::MOST_FIELDS as u64;
pub(super) const MAX_URI_LENGTH_RANGE: RangeInclusive<u64> =
    256..=HeadLimits::LONGEST_TARGET as u64;
pub(super) const BUFFER_SIZE: u32 = 32 << 10;
/// Below 8 KiB a buffer costs more than it saves; beyond 16 MiB it is a mistake.
pub(super) const BUFFER_SIZE_RANGE: RangeInclusive<u64> = 8 << 10..=16 << 20;

/// Timeouts from the grain of the workers' clock to a day.
pub(super) const TIMEOUT_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(250)..=Duration::from_secs(86_400);
/// Timeouts where less than a second makes sense, too.
pub(super) const SHORT_TIMEOUT_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(86_400);

pub(super) const LOG_LEVEL: LogLevel = LogLevel::Info;
pub(super) const LOG_OUTPUT: LogOutput = LogOutput::Auto;
pub(super) const ACCESS_LOG_FORMAT: AccessLogFormat = AccessLogFormat::Combined;
pub(super) const LOG_FILE: &str = "/var/log/bws/bws.log";
pub(super) const ACCESS_LOG: &str = "/var/log/bws/access.log";

pub(super) const MAX_REQUEST_SIZE: u64 = 10 << 20;
pub(super) const MAX_REQUEST_SIZE_RANGE: RangeInclusive<u64> = 0..=1 << 50;
/// Response headers that a careful server sends.
pub(super) const SECURITY_HEADERS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
];

pub(super) const AUTH_REALM: &str = "Restricted";
/// A thousand a second and client is as fine as the workers' clock.
pub(super) const REQUESTS_PER_MINUTE_RANGE: RangeInclusive<u64> = 1..=60_000;
pub(super) const BURST_SIZE_RANGE: RangeInclusive<u64> = 1..=1_000_000;
pub(super) const BLOCK_DURATION_RANGE: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(30 * 86_400);
/// No browser keeps the answer to a preflight longer than a day.
pub(super) const CORS_MAX_AGE_RANGE: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(86_400);

pub(super) const MANAGEMENT_HOST: &str = "127.0.0.1";
pub(super) const MANAGEMENT_PORT: u16 = 7654;
pub(super) const HEALTH_ENDPOINT: &str = "/health";
pub(super) const DETAILED_ENDPOINT: &str = "/health/detailed";

pub(super) const PORT_RANGE: RangeInclusive<u64> = 1..=65_535;
pub(super) const INDEX_FILES: [&str; 2] = ["index.html", "index.htm"];
/// Slower to make than a client waits, or larger than it must be.
pub(super) const COMPRESSION_LEVEL: u32 = 6;
pub(super) const COMPRESSION_LEVEL_RANGE: RangeInclusive<u64> = 1..=11;
/// A smaller answer fits into one packet anyway.
pub(super) const MIN_SIZE: u64 = 1024;
pub(super) const MIN_SIZE_RANGE: RangeInclusive<u64> = 0..=1 << 40;
pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip];
/// What is text, or as sparse as text.
pub(super) const COMPRESSED_TYPES: [&str; 16] = [
    "text/*",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/problem+json",
    "application/geo+json",
    "application/javascript",
    "application/xml",
    "application/xhtml+xml",
    "application/rss+xml",
    "application/atom+xml",
    "application/wasm",
    "image/svg+xml",
    "image/bmp",
    "font/ttf",
    "font/otf",
];
/// Ten years say for ever.
pub(super) const MAX_AGE_RANGE: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(10 * 365 * 86_400);

/// Statuses that a page can be for.
pub(super) const ERROR_STATUS_RANGE: RangeInclusive<u16> = 400..=599;

pub(super) const MIN_TLS_VERSION: TlsVersion = TlsVersion::Tls12;
/// A certificate that ends sooner is worth a warning.
pub(super) const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 86_400);

pub(super) const BALANCING_METHOD: BalancingMethod = BalancingMethod::RoundRobin;
pub(super) const UPSTREAM_WEIGHT: u32 = 1;
pub(super) const UPSTREAM_WEIGHT_RANGE: RangeInclusive<u64> = 1..=10_000;
pub(super) const UPSTREAM_MAX_CONNS_RANGE: RangeInclusive<u64> = 1..=1_000_000;
pub(super) const UPSTREAM_QUEUE: u32 = 100;
pub(super) const UPSTREAM_QUEUE_RANGE: RangeInclusive<u64> = 0..=1_000_000;
pub(super) const UPSTREAM_QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const RETRY_ATTEMPTS: u32 = 2;
pub(super) const RETRY_ATTEMPTS_RANGE: RangeInclusive<u64> = 0..=10;
pub(super) const CHECK_PATH: &str = "/health";
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const CHECK_RETRIES: u32 = 3;
pub(super) const CHECK_HEALTHY_AFTER: u32 = 2;
/// A check more often than that is an attack.
pub(super) const CHECK_TIME_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(86_400);
pub(super) const CHECK_COUNT_RANGE: RangeInclusive<u64> = 1..=1000;
pub(super) const UPSTREAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const UPSTREAM_READ_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const UPSTREAM_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const TUNNEL_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// Of a test connection, `Options::connect_timeout`.
pub(super) const TEST_CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// One thread for each CPU that this process may use.
pub(super) fn worker_threads() -> u32 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(threads).unwrap_or(1).clamp(1, 1024)
}

pub(super) fn compressed_types() -> Vec<String> {
    COMPRESSED_TYPES.map(str::to_owned).to_vec()
}

pub(super) fn index_files() -> Vec<String> {
    INDEX_FILES.map(str::to_owned).to_vec()
}

pub(super) fn log_file() -> PathBuf {
    PathBuf::from(LOG_FILE)
}
