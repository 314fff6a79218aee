//! Certificates and keys: each pair of files is read and checked once, however many sites name it.

mod checks;
mod earlier;
mod of_site;
mod staples;

pub(super) use earlier::Earlier;
pub(super) use of_site::resolve;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::super::hash;
use super::super::parallel;
use super::super::pem::Refusal;
use super::super::raw::{self, Raw};
use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place};
use super::super::types::{CertificateEntry, CertificateIndex, Certificates, HostPattern};
use super::global::is_on;
use super::{Context, acme};

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

/// A certificate's files, and where they are first named.
struct Wanted {
    cert: Located<PathBuf>,
    key: Located<PathBuf>,
    ocsp: Option<Located<PathBuf>>,
}

/// The same as a site names them.
pub(super) struct Files<'a> {
    pub(super) cert: &'a Located<PathBuf>,
    key: &'a Located<PathBuf>,
    ocsp: Option<&'a Located<PathBuf>>,
}

impl<'a> Files<'a> {
    fn of(
        cert: &'a Option<Located<PathBuf>>,
        key: &'a Option<Located<PathBuf>>,
        ocsp: &'a Option<Located<PathBuf>>,
    ) -> Option<Self> {
        Some(Self {
            cert: cert.as_ref()?,
            key: key.as_ref()?,
            ocsp: ocsp.as_ref(),
        })
    }
}

/// Reads what the sites name, each pair of files once, in the order in which they are first named.
pub(super) fn read(raw: &Raw, context: &Context<'_>, now: SystemTime) -> Store {
    let mut numbers: HashMap<[Option<OsString>; 3], usize> = HashMap::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut places = Vec::new();
    let tables = raw.sites().filter_map(|site| site.ssl.as_deref());
    for named in tables.flat_map(files) {
        let place = named.cert.place;
        let Some(files) = Wanted::new(named, context) else {
            continue;
        };
        let number = *numbers
            .entry(files.paths().map(|path| path.map(PathBuf::into_os_string)))
            .or_insert(wanted.len());
        if number == wanted.len() {
            wanted.push(files);
        }
        places.push((place, number));
    }
    let mut store = Store::default();
    let earlier = Earlier::new(context.earlier);
    store.read(wanted, &places, &earlier, context.findings, seconds(now));
    store.add(acme::read(raw, context, &earlier));
    store.parsed = earlier.parsed();
    store
}

/// The certificates of a table that is not switched off, as far as both files are named.
pub(super) fn files(ssl: &raw::site::Ssl) -> impl Iterator<Item = Files<'_>> {
    let wanted = is_on(ssl.enabled.as_ref(), true) && !acme::acts(ssl);
    let own = Files::of(&ssl.cert_file, &ssl.key_file, &ssl.ocsp_file);
    let more = ssl.certificates.iter();
    let more = more.filter_map(|it| Files::of(&it.cert_file, &it.key_file, &it.ocsp_file));
    own.into_iter().chain(more).filter(move |_| wanted)
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
        self.files = wanted.iter().flat_map(Wanted::paths).flatten().collect();
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
    /// All are looked at, so that all can be complained of.
    fn new(named: Files<'_>, context: &Context<'_>) -> Option<Self> {
        let file = |named: &Located<PathBuf>| {
            let place = named.place;
            context
                .file_or_credential(named)
                .map(|value| Located { value, place })
        };
        let (cert, key) = (file(named.cert), file(named.key));
        let ocsp = named.ocsp.and_then(file);
        Some(Self {
            cert: cert?,
            key: key?,
            ocsp,
        })
    }

    fn paths(&self) -> [Option<PathBuf>; 3] {
        [Some(&self.cert), Some(&self.key), self.ocsp.as_ref()]
            .map(|file| file.map(|file| file.value.clone()))
    }

    fn load(
        self,
        earlier: &Earlier<'_>,
        now: i64,
        findings: &Findings,
    ) -> Option<CertificateEntry> {
        let mut entry = match earlier.read(&self.cert.value, &self.key.value) {
            Ok(entry) => entry,
            Err(refusal) => {
                findings.push(self.complain(refusal));
                return None;
            }
        };
        checks::dates(&entry.certificate, now, self.cert.place, findings);
        checks::mode(entry.files.as_ref(), &self.key, findings);
        let staple = self.ocsp.as_ref();
        let staple = staple.and_then(|file| staples::read(file, &entry.certificate, now, findings));
        if staple != entry.certificate.staple {
            let certificate = Arc::make_mut(&mut entry.certificate);
            certificate.staple = staple;
            hash::of_certificate(certificate);
        }
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
        checks::cover(
            &entry.certificate,
            cert_file.place,
            hostnames,
            self.findings,
        );
        Some(index)
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
