//! What `bws status` shows of certificates.

use std::fmt::Write as _;

use super::status::span;
use crate::core::report::CertificateStatus;

/// Certificates that are named; those with trouble come first.
const NAMED: usize = 20;

pub(super) fn write(text: &mut String, certificates: &[CertificateStatus], now: i64) {
    if certificates.is_empty() {
        return;
    }
    let mut shown: Vec<&CertificateStatus> = certificates.iter().collect();
    shown.sort_by_key(|one| (is_well(one), one.not_after));
    // Writing into a String does not fail.
    let _ = writeln!(
        text,
        "\n{:<24} {:<10} {:<6} {:<8} {:<10} RENEWAL",
        "CERTIFICATE OF", "KEY", "SOURCE", "STATE", "EXPIRES"
    );
    for one in shown.iter().take(NAMED) {
        let CertificateStatus {
            site,
            source,
            state,
            not_after,
            key,
            ..
        } = one;
        let key = if key.is_empty() { "-" } else { key };
        let expires = match state.as_str() {
            "missing" => "-".to_owned(),
            _ => moment(*not_after, now),
        };
        let renewal = renewal(one, now);
        let _ = writeln!(
            text,
            "{site:<24} {key:<10} {source:<6} {state:<8} {expires:<10} {renewal}"
        );
    }
    if let Some(more @ 1..) = shown.len().checked_sub(NAMED) {
        let _ = writeln!(text, "and {more} more (GET /api/certificates)");
    }
}

fn is_well(one: &CertificateStatus) -> bool {
    one.state == "valid" && one.last_error.is_none()
}

fn renewal(one: &CertificateStatus, now: i64) -> String {
    let next = match (one.ordering, one.next_order) {
        (true, _) => "an order is under way".to_owned(),
        (false, Some(next)) if next <= now => "waits for its turn".to_owned(),
        (false, Some(next)) => moment(next, now),
        (false, None) => "by its owner".to_owned(),
    };
    match &one.last_error {
        Some(error) => format!("{next}; failed ({}): {error}", one.failures),
        None => next,
    }
}

/// "in 5 h", "3 d ago".
fn moment(at: i64, now: i64) -> String {
    match u64::try_from(at.saturating_sub(now)) {
        Ok(left) => format!("in {}", span(left)),
        Err(_) => format!("{} ago", span(now.saturating_sub(at).unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_comes_first() {
        let well = CertificateStatus {
            site: "well".into(),
            source: "file".into(),
            state: "valid".into(),
            not_after: 86_400 * 30,
            ..CertificateStatus::default()
        };
        let missing = CertificateStatus {
            site: "missing".into(),
            source: "acme".into(),
            state: "missing".into(),
            next_order: Some(60),
            failures: 2,
            last_error: Some("no such name".into()),
            ..CertificateStatus::default()
        };
        let mut text = String::new();
        write(&mut text, &[well, missing], 0);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert!(lines[0].starts_with("missing"), "{text}");
        assert!(lines[0].ends_with("in 60 s; failed (2): no such name"));
        assert!(lines[1].contains("in 30 d") && lines[1].ends_with("by its owner"));
    }
}
