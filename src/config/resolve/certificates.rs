//! Certificates and keys: each pair of files is read and checked once, however many sites name it.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::defaults::EXPIRY_WARNING;
use super::super::pem::{self, Pair};
use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place};
use super::super::types::{Certificate, CertificateIndex, HostPattern};
use super::{Context, hostnames};

/// The certificates seen so far.
pub(super) struct Store {
    now: i64,
    /// None for a pair that was refused.
    known: HashMap<(PathBuf, PathBuf), Option<CertificateIndex>>,
    certificates: Vec<Certificate>,
    files: Vec<PathBuf>,
}

impl Store {
    pub(super) fn new(now: SystemTime) -> Self {
        Self {
            now: seconds(now),
            known: HashMap::new(),
            certificates: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The certificates, and the files that they came from.
    pub(super) fn finish(self) -> (Vec<Certificate>, Vec<PathBuf>) {
        (self.certificates, self.files)
    }

    fn load(
        &mut self,
        cert: (&Path, Place),
        key: (&Path, Place),
        findings: &Findings,
    ) -> Option<CertificateIndex> {
        let files = [cert.0, key.0].map(Path::to_path_buf);
        self.files.extend(files.clone());
        let pair = match Pair::read(cert.0, key.0) {
            Ok(pair) => pair,
            Err(refusal) => {
                let place = if refusal.of_key { key.1 } else { cert.1 };
                let mut finding = Finding::error(refusal.message)
                    .at(place, "")
                    .help(refusal.help);
                if refusal.of_both {
                    finding = finding.at(cert.1, "");
                }
                findings.push(finding);
                return None;
            }
        };
        self.check_dates(&pair, cert, findings);
        check_mode(key, findings);
        let [cert_file, key_file] = files;
        self.certificates.push(Certificate {
            cert_file,
            key_file,
            chain: pair.chain,
            key: pair.key,
            names: pair.names,
            not_before: pair.not_before,
            not_after: pair.not_after,
        });
        CertificateIndex::try_from(self.certificates.len() - 1).ok()
    }

    fn check_dates(&self, pair: &Pair, cert: (&Path, Place), findings: &Findings) {
        let file = cert.0.display();
        let [from, until] = [pair.not_before, pair.not_after].map(pem::show_date);
        let left = pair.not_after.saturating_sub(self.now);
        let finding = if left < 0 {
            Finding::error(format!("certificate '{file}' expired on {until}"))
        } else if pair.not_before > self.now {
            Finding::error(format!("certificate '{file}' is not valid before {from}"))
        } else if left < i64::try_from(EXPIRY_WARNING.as_secs()).unwrap_or(i64::MAX) {
            Finding::warning(format!("certificate '{file}' expires on {until}"))
        } else {
            return;
        };
        findings.push(
            finding
                .at(cert.1, "")
                .help("renew it, or check the clock of this machine"),
        );
    }
}

impl Context<'_> {
    /// The certificate for a site with these hostnames.
    pub(super) fn certificate(
        &mut self,
        cert_file: &Located<PathBuf>,
        key_file: &Located<PathBuf>,
        hostnames: &[Located<HostPattern>],
    ) -> Option<CertificateIndex> {
        // Both are looked at, so that both can be complained of.
        let cert = self.file_or_credential(cert_file);
        let key = self.file_or_credential(key_file);
        let pair = (cert?, key?);
        let index = match self.certificates.known.get(&pair) {
            Some(known) => *known,
            None => {
                let (cert, key) = ((&*pair.0, cert_file.place), (&*pair.1, key_file.place));
                let index = self.certificates.load(cert, key, self.findings);
                self.certificates.known.insert(pair, index);
                index
            }
        }?;
        let certificate = &self.certificates.certificates[index as usize];
        check_cover(certificate, cert_file.place, hostnames, self.findings);
        Some(index)
    }
}

/// A key that everybody can read is no secret.
fn check_mode(key: (&Path, Place), findings: &Findings) {
    let Ok(metadata) = std::fs::metadata(key.0) else {
        return;
    };
    if metadata.permissions().mode() & 0o004 != 0 {
        let file = key.0.display();
        findings.push(
            Finding::warning(format!(
                "key '{file}' can be read by every user of this machine"
            ))
            .at(key.1, "")
            .help(format!("chmod o-rwx '{file}'")),
        );
    }
}

/// None of the hostnames covered is an error, as no browser would connect; some not, a warning.
fn check_cover(
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

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
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
