//! How many requests a client may make.

use super::super::raw::middleware as raw;
use super::super::report::{Finding, Findings};
use super::super::types::{Rate, RateLimit};
use super::global::is_on;
use super::networks;

/// None when it is switched off.
pub(super) fn resolve(raw: &raw::RateLimit, findings: &Findings) -> Option<RateLimit> {
    if !is_on(raw.enabled.as_ref(), true) {
        return None;
    }
    let rate = raw.requests_per_minute.map(|requests_per_minute| Rate {
        requests_per_minute,
        burst_size: raw.burst_size.unwrap_or(requests_per_minute),
    });
    if rate.is_none() && (raw.blacklist.is_empty() || raw.burst_size.is_some()) && !raw.damaged {
        let message = format!("'{}' has no 'requests_per_minute'", raw.table);
        findings.push(
            Finding::error(message)
                .at(raw.place, "limits nobody")
                .help("write, for example: requests_per_minute = 600"),
        );
    }
    Some(RateLimit {
        rate,
        block_duration: raw.block_duration.unwrap_or_default(),
        whitelist: networks::resolve(&raw.whitelist, findings),
        blacklist: networks::resolve(&raw.blacklist, findings),
    })
}
