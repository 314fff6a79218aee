//! What a configuration means where it says nothing, and the limits of what it may say.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::types::{AccessLogFormat, LogLevel, LogOutput, TlsVersion};

/// Bytes of one configuration file.
pub(super) const MAX_FILE_SIZE: u64 = 64 << 20;
/// Bytes of one certificate or key file.
pub(super) const MAX_PEM_SIZE: u64 = 1 << 20;
/// Bytes of one file of names and passwords: a hundred thousand users.
pub(super) const MAX_PASSWORD_FILE_SIZE: u64 = 16 << 20;
/// Files that one configuration may include.
pub(super) const MAX_INCLUDED_FILES: usize = 65_536;

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
pub(super) const BUFFER_SIZE: u32 = 32 << 10;
/// 8 KiB hold any sane request head; beyond 16 MiB a buffer is a mistake.
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
pub(super) const MIN_TLS_VERSION: TlsVersion = TlsVersion::Tls12;
/// A certificate that ends sooner is worth a warning.
pub(super) const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 86_400);

pub(super) const UPSTREAM_WEIGHT: u32 = 1;
pub(super) const UPSTREAM_WEIGHT_RANGE: RangeInclusive<u64> = 1..=10_000;
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

pub(super) fn index_files() -> Vec<String> {
    INDEX_FILES.map(str::to_owned).to_vec()
}

pub(super) fn log_file() -> PathBuf {
    PathBuf::from(LOG_FILE)
}
