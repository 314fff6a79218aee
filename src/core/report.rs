//! What the management API says and the command line reads.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::supervisor::event::Cause;

/// How a reload ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReloadReport {
    pub success: bool,
    /// The version in force now.
    pub version: u64,
    pub duration_ms: u64,
    /// One line: what changed, or why nothing did.
    pub message: String,
    #[serde(flatten)]
    pub details: Details,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// What a configuration would change, or why it cannot be used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Details {
    pub plan: Value,
    pub plan_text: String,
    pub warnings: Value,
    pub warnings_text: String,
    pub errors: Value,
    pub errors_text: String,
}

impl Details {
    /// The first errors of the list, for who cannot take any number of them. Warnings are none.
    pub fn first_errors(&self) -> Vec<Value> {
        const FIRST: usize = 20;
        let all = self.errors.as_array().into_iter().flatten();
        let errors = all.filter(|problem| problem["severity"] != "warning");
        errors.take(FIRST).cloned().collect()
    }
}

/// The outcome of a check without a reload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckReport {
    pub valid: bool,
    #[serde(flatten)]
    pub details: Details,
}

/// The master and everything it watches over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// `server.name`.
    #[serde(default)]
    pub name: String,
    pub version: String,
    pub pid: u32,
    pub uptime_seconds: u64,
    /// "starting", "serving", "reloading" or "stopping".
    pub state: String,
    pub config_file: String,
    pub config_version: u64,
    pub config_hash: String,
    pub sites: Vec<SiteStatus>,
    pub listeners: Vec<String>,
    #[serde(default)]
    pub upstreams: UpstreamCounts,
    pub generations: Vec<GenerationStatus>,
    pub reloads: ReloadCounts,
    pub last_reload: Option<LastReload>,
}

/// The certificate of a site, and how it is renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    pub site: String,
    /// "file" or "acme".
    pub source: String,
    /// "valid", "expired" or "missing".
    pub state: String,
    pub names: Vec<String>,
    pub issuer: String,
    /// Seconds since the epoch, as all times here; zero without a certificate.
    pub not_before: i64,
    pub not_after: i64,
    pub file: String,
    /// As in "ecdsa-p256" or "rsa"; empty without a certificate.
    #[serde(default)]
    pub key: String,
    /// Until when the OCSP response that is stapled holds.
    #[serde(default)]
    pub ocsp_until: Option<i64>,
    /// The directory of the authority.
    pub authority: Option<String>,
    /// An order is under way.
    pub ordering: bool,
    /// When the next one is due.
    pub next_order: Option<i64>,
    /// Orders that failed one after the other, and why the last one did.
    pub failures: u32,
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificates {
    pub certificates: Vec<CertificateStatus>,
}

/// A site of the configuration in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteStatus {
    pub name: String,
    /// As a URL without a path.
    pub listener: String,
    pub hostnames: Vec<String>,
    /// Answered by all workers since the master started.
    pub requests: u64,
}

/// Upstream servers of the configuration in force.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct UpstreamCounts {
    pub total: usize,
    pub down: usize,
}

/// An upstream server, as all workers together know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpstreamStatus {
    pub site: String,
    pub pool: String,
    /// Its address.
    pub upstream: String,
    pub weight: u32,
    pub healthy: bool,
    /// "up", "rising" (back, with a growing share) or "down".
    pub state: String,
    /// Why it is down.
    pub reason: Option<String>,
    /// When it last went down or came back, seconds since the epoch.
    pub changed_at: Option<u64>,
    /// Requests that it was given, by all workers since the master started.
    pub requests: u64,
    /// Of these, those that it did not answer.
    pub failures: u64,
    /// Of these, those that another one had failed.
    pub retries: u64,
    /// How often it was taken out.
    pub ejections: u64,
    /// What its name stands for, once some worker has asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// It is a target of this service's SRV records,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// used while none of a lower number can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerationStatus {
    pub generation: u64,
    pub config_version: u64,
    /// "starting", "active" or "draining".
    pub state: String,
    pub workers: Vec<WorkerStatus>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerStatus {
    pub worker: u64,
    pub pid: u32,
    pub state: String,
    pub age_seconds: u64,
    pub connections: u64,
    pub connections_parked: u64,
    pub requests_in_flight: u64,
    /// Requests that it has answered.
    #[serde(default)]
    pub requests: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ReloadCounts {
    pub success: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastReload {
    /// Seconds since the epoch.
    pub at: u64,
    pub success: bool,
    pub duration_ms: u64,
    pub message: String,
    /// It was the configuration of the start.
    #[serde(default)]
    pub first: bool,
    /// The first of the errors, see [`Details::first_errors`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Value>,
}
