//! What may be wrong with a pair that belongs together.

use std::path::PathBuf;

use crate::config::defaults::EXPIRY_WARNING;
use crate::config::pem;
use crate::config::report::{Finding, Findings};
use crate::config::resolve::hostnames;
use crate::config::source::{Located, Place};
use crate::config::types::{Certificate, HostPattern, Stamp};

pub(super) fn dates(certificate: &Certificate, now: i64, place: Place, findings: &Findings) {
    let (from, until) = (certificate.not_before, certificate.not_after);
    let left = until.saturating_sub(now);
    if from <= now && left >= i64::try_from(EXPIRY_WARNING.as_secs()).unwrap_or(i64::MAX) {
        return;
    }
    let file = certificate.cert_file.display();
    let [from, until] = [from, until].map(pem::show_date);
    let finding = if left < 0 {
        Finding::error(format!("certificate '{file}' expired on {until}"))
    } else if certificate.not_before > now {
        Finding::error(format!("certificate '{file}' is not valid before {from}"))
    } else {
        Finding::warning(format!("certificate '{file}' expires on {until}"))
    };
    findings.push(
        finding
            .at(place, "")
            .help("renew it, or check the clock of this machine"),
    );
}

/// A key that everybody can read is no secret.
pub(super) fn mode(files: Option<&[Stamp; 2]>, key: &Located<PathBuf>, findings: &Findings) {
    if files.is_some_and(|[_, key]| key.is_readable_by_all()) {
        let file = key.value.display();
        findings.push(
            Finding::warning(format!(
                "key '{file}' can be read by every user of this machine"
            ))
            .at(key.place, "")
            .help(format!("chmod o-rwx '{file}'")),
        );
    }
}

/// None of the hostnames covered is an error, as no browser would connect; some not, a warning.
pub(super) fn cover(
    certificate: &Certificate,
    place: Place,
    hostnames: &[Located<HostPattern>],
    findings: &Findings,
) {
    let named = || hostnames.iter().filter(|it| it.value != HostPattern::Any);
    let missing: Vec<_> = named()
        .filter(|it| !covers(&certificate.names, &it.value))
        .collect();
    let [first, ..] = missing[..] else { return };
    let file = certificate.cert_file.display();
    let names = match certificate.names.len() {
        0 => "it names no host at all (subject alternative names count, the common name does not)"
            .to_owned(),
        _ => format!("it is for {}", certificate.names.join(", ")),
    };
    if missing.len() == named().count() {
        let hosts: Vec<String> = missing
            .iter()
            .map(|it| hostnames::show(&it.value))
            .collect();
        findings.push(
            Finding::error(format!(
                "certificate '{file}' does not cover {}",
                hosts.join(", ")
            ))
            .at(place, "")
            .at(first.place, "")
            .help(format!(
                "{names}; name another certificate, or correct the hostname"
            )),
        );
        return;
    }
    for host in missing {
        let shown = hostnames::show(&host.value);
        findings.push(
            Finding::warning(format!("certificate '{file}' does not cover {shown}"))
                .at(host.place, "browsers will refuse to connect to it")
                .help(names.clone()),
        );
    }
}

/// RFC 6125 section 6.4.3: a wildcard stands for one whole label.
fn covers(names: &[String], pattern: &HostPattern) -> bool {
    let has = |name: &str| names.iter().any(|it| it == name);
    match pattern {
        HostPattern::Any => true,
        HostPattern::Wildcard(parent) => has(&format!("*.{parent}")),
        HostPattern::Exact(name) => {
            let bare = name.trim_start_matches('[').trim_end_matches(']');
            let parent = name
                .split_once('.')
                .map(|(_, parent)| format!("*.{parent}"));
            has(bare) || parent.is_some_and(|parent| has(&parent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = ["example.com", "*.example.com", "2001:db8::1"].map(str::to_owned);
        let covered = |host: &str| covers(&names, &hostnames::pattern(host).unwrap());
        for host in [
            "example.com",
            "www.example.com",
            "*.example.com",
            "[2001:db8::1]",
            "_",
        ] {
            assert!(covered(host), "{host}");
        }
        for host in [
            "a.b.example.com",
            "example.org",
            "*.example.org",
            "com",
            "2001:db8::2",
        ] {
            assert!(!covered(host), "{host}");
        }
    }
}
