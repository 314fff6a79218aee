//! Certificates and keys: each pair of files is read and checked once, however many sites name it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use super::super::defaults::EXPIRY_WARNING;
use super::super::parallel;
use super::super::pem::{self, Refusal};
use super::super::raw::{self, Raw};
use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place};
use super::super::types::{
    Certificate, CertificateEntry, CertificateIndex, Certificates, HostPattern, Stamp,
};
use super::earlier::Earlier;
use super::global::is_on;
use super::{Context, acme, hostnames};

/// The certificates of a configuration.
#[derive(Default)]
pub(super) struct Store {
    /// By the place of `cert_file`, or of the table where BWS gets it by itself; a pair that was refused is not in here.
    named: HashMap<Place, CertificateIndex>,
    certificates: Vec<CertificateEntry>,
    /// Where they came from.
    files: Vec<PathBuf>,
    /// How many were parsed, and not taken from the configuration in force.
    pub(super) parsed: usize,
}

/// Two files, and where they are first named.
struct Wanted {
    cert: Located<PathBuf>,
    key: Located<PathBuf>,
}

/// Reads what the sites name, each pair of files once, in the order in which they are first named.
pub(super) fn read(raw: &Raw, context: &Context<'_>, now: SystemTime) -> Store {
    let mut numbers: HashMap<(PathBuf, PathBuf), usize> = HashMap::new();
    let mut wanted = Vec::new();
    let mut places = Vec::new();
    for (cert_file, key_file) in raw.sites().filter_map(|site| files(site.ssl.as_ref()?)) {
        // Both are looked at, so that both can be complained of.
        let cert = context.file_or_credential(cert_file);
        let key = context.file_or_credential(key_file);
        let (Some(cert), Some(key)) = (cert, key) else {
            continue;
        };
        let number = *numbers
            .entry((cert.clone(), key.clone()))
            .or_insert_with(|| {
                let [cert, key] =
                    [(cert, cert_file), (key, key_file)].map(|(value, named)| Located {
                        value,
                        place: named.place,
                    });
                wanted.push(Wanted { cert, key });
                wanted.len() - 1
            });
        places.push((cert_file.place, number));
    }
    let mut store = Store::default();
    let earlier = Earlier::new(context.earlier);
    store.read(wanted, &places, &earlier, context.findings, seconds(now));
    store.add(acme::read(raw, context, &earlier));
    store.parsed = earlier.parsed();
    store
}

/// The files of a table that is not switched off.
pub(super) fn files(ssl: &raw::site::Ssl) -> Option<(&Located<PathBuf>, &Located<PathBuf>)> {
    let files = ssl.cert_file.as_ref().zip(ssl.key_file.as_ref());
    files.filter(|_| is_on(ssl.enabled.as_ref(), true) && !acme::acts(ssl))
}

impl Store {
    /// `places` are where a `cert_file` stands, with the number of what it wants.
    fn read(
        &mut self,
        wanted: Vec<Wanted>,
        places: &[(Place, usize)],
        earlier: &Earlier<'_>,
        findings: &Findings,
        now: i64,
    ) {
        let named = wanted
            .iter()
            .flat_map(|pair| [&pair.cert.value, &pair.key.value]);
        self.files = named.cloned().collect();
        let loaded = parallel::map(wanted, |pair| {
            let own = Findings::default();
            (pair.load(earlier, now, &own), own)
        });
        let mut indices = Vec::with_capacity(loaded.len());
        for (certificate, own) in loaded {
            findings.append(own);
            let index = CertificateIndex::try_from(self.certificates.len()).ok();
            indices.push(certificate.is_some().then_some(index).flatten());
            self.certificates.extend(certificate);
        }
        let known = places
            .iter()
            .filter_map(|(place, number)| Some((*place, indices[*number]?)));
        self.named = known.collect();
    }

    /// Adds those that BWS gets by itself.
    fn add(&mut self, automatic: Vec<(Place, CertificateEntry)>) {
        for (place, certificate) in automatic {
            if let Ok(index) = CertificateIndex::try_from(self.certificates.len()) {
                self.named.insert(place, index);
                self.certificates.push(certificate);
            }
        }
    }

    /// The certificates, and the files that they came from.
    pub(super) fn finish(self) -> (Certificates, Vec<PathBuf>) {
        (self.certificates.into(), self.files)
    }
}

impl Wanted {
    fn load(
        self,
        earlier: &Earlier<'_>,
        now: i64,
        findings: &Findings,
    ) -> Option<CertificateEntry> {
        let entry = match earlier.read(&self.cert.value, &self.key.value) {
            Ok(entry) => entry,
            Err(refusal) => {
                findings.push(self.complain(refusal));
                return None;
            }
        };
        check_dates(&entry.certificate, now, self.cert.place, findings);
        check_mode(entry.files.as_ref(), &self.key, findings);
        Some(entry)
    }

    fn complain(&self, refusal: Refusal) -> Finding {
        let (cert, key) = (self.cert.place, self.key.place);
        let finding = Finding::error(refusal.message)
            .at(if refusal.of_key { key } else { cert }, "")
            .help(refusal.help);
        match refusal.of_both {
            true => finding.at(cert, ""),
            false => finding,
        }
    }
}

impl Context<'_> {
    /// The certificate of the site whose table stands at `place`.
    pub(super) fn automatic_certificate(&self, place: Place) -> Option<CertificateIndex> {
        self.certificates.named.get(&place).copied()
    }

    /// The certificate for a site with these hostnames, if it could be read.
    pub(super) fn certificate(
        &self,
        cert_file: &Located<PathBuf>,
        hostnames: &[Located<HostPattern>],
    ) -> Option<CertificateIndex> {
        let index = *self.certificates.named.get(&cert_file.place)?;
        let entry = &self.certificates.certificates[index as usize];
        check_cover(
            &entry.certificate,
            cert_file.place,
            hostnames,
            self.findings,
        );
        Some(index)
    }
}

fn check_dates(certificate: &Certificate, now: i64, place: Place, findings: &Findings) {
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
fn check_mode(files: Option<&[Stamp; 2]>, key: &Located<PathBuf>, findings: &Findings) {
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
