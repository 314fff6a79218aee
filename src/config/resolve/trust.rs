//! Whom to believe when an upstream or a client shows its certificate: each file of authorities is read once, and the
//! system's when a site names none for its upstreams.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use super::super::hash;
use super::super::pem;
use super::super::raw::{Raw, proxy::Proxy};
use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place};
use super::super::types::{Revocations, Trust, TrustId};
use super::global::is_on;
use super::upstreams::is_https;
use super::{Context, clients};

/// The authorities of a configuration.
#[derive(Default)]
pub(super) struct Authorities {
    /// By the place of `ca_file`; a file that was refused is not in here.
    named: HashMap<Place, TrustId>,
    system: Option<TrustId>,
    trusts: Vec<Trust>,
    /// What they took back.
    pub(super) revoked: clients::Revoked,
    /// Where they came from.
    files: Vec<PathBuf>,
}

/// Reads what the sites name, and the system's authorities when one needs them.
pub(super) fn read(raw: &Raw, context: &Context<'_>) -> Authorities {
    let mut authorities = Authorities::default();
    let mut known: HashMap<PathBuf, Option<TrustId>> = HashMap::new();
    let mut system_asked = None;
    for proxy in raw.sites().filter_map(|site| site.proxy.as_ref()) {
        match ca_file(proxy) {
            Wish::File(file) => {
                authorities.learn(file, &mut known, context, |_| ());
            }
            Wish::System(place) => {
                system_asked.get_or_insert(place);
            }
            Wish::Nothing => {}
        }
    }
    for file in raw.sites().filter_map(|site| clients::authority(site)) {
        let check = |read: &[Vec<u8>]| clients::check(read, file, context.findings);
        authorities.learn(file, &mut known, context, check);
    }
    authorities.revoked = clients::read(raw, &authorities, context);
    authorities.files = known.into_keys().collect();
    authorities.system = system_asked
        .and_then(|place| of_system(place, context.findings))
        .map(|read| authorities.add(read));
    authorities
}

/// Which authorities a site needs.
enum Wish<'a> {
    File(&'a Located<PathBuf>),
    /// The upstream at this place is the first that does.
    System(Place),
    Nothing,
}

fn ca_file(proxy: &Proxy) -> Wish<'_> {
    let mut urls = proxy.upstreams.iter().filter_map(|it| it.url.as_ref());
    let Some(https) = urls.find(|url| is_https(&url.value)) else {
        return Wish::Nothing;
    };
    let tls = proxy.tls.as_ref();
    let verify = is_on(tls.and_then(|tls| tls.verify.as_ref()), true);
    match tls.and_then(|tls| tls.ca_file.as_ref()) {
        _ if !verify || !is_on(proxy.enabled.as_ref(), true) => Wish::Nothing,
        Some(file) => Wish::File(file),
        None => Wish::System(https.place),
    }
}

impl Authorities {
    /// The authorities, and the files that they came from.
    pub(super) fn finish(mut self) -> (Vec<Trust>, Vec<Revocations>, Vec<PathBuf>) {
        self.files.extend(self.revoked.files);
        (self.trusts, self.revoked.all, self.files)
    }

    /// Reads `file` unless it is known. Who names it first has it checked.
    fn learn(
        &mut self,
        file: &Located<PathBuf>,
        known: &mut HashMap<PathBuf, Option<TrustId>>,
        context: &Context<'_>,
        check: impl FnOnce(&[Vec<u8>]),
    ) {
        let Some(path) = context.file_or_credential(file) else {
            return;
        };
        let id = known.entry(path).or_insert_with_key(|path| {
            let read = of_file(path, file.place, context.findings)?;
            check(&read);
            Some(self.add(read))
        });
        self.named.extend(id.clone().map(|id| (file.place, id)));
    }

    /// The certificates of those who were found.
    pub(super) fn certificates(&self, id: &TrustId) -> &[Vec<u8>] {
        let found = self.trusts.iter().find(|trust| trust.id == *id);
        found.map_or(&[], |trust| &trust.authorities)
    }

    /// Those of `ca_file`, or the system's, if they could be read.
    pub(super) fn find(&self, ca_file: Option<&Located<PathBuf>>) -> Option<TrustId> {
        match ca_file {
            Some(file) => self.named.get(&file.place).cloned(),
            None => self.system.clone(),
        }
    }

    fn add(&mut self, authorities: Vec<Vec<u8>>) -> TrustId {
        let id = TrustId(hash::digest(authorities.iter().map(Vec::as_slice)));
        if !self.trusts.iter().any(|trust| trust.id == id) {
            let id = id.clone();
            self.trusts.push(Trust { id, authorities });
        }
        id
    }
}

/// The certificates of a `ca_file`, DER.
pub(super) fn of_file(file: &Path, place: Place, findings: &Findings) -> Option<Vec<Vec<u8>>> {
    let refuse = |message: String, help: String| {
        findings.push(Finding::error(message).at(place, "").help(help));
    };
    let certificates = match pem::read_chain(file) {
        Ok(certificates) => certificates,
        Err(refusal) => {
            refuse(refusal.message, refusal.help);
            return None;
        }
    };
    let mut store = RootCertStore::empty();
    let mut refused = certificates.iter().map(|it| store.add(it.clone()));
    if refused.any(|added| added.is_err()) {
        refuse(
            format!(
                "'{}' holds a certificate that cannot be parsed",
                file.display()
            ),
            "name the PEM file of the authority that signed the certificates".to_owned(),
        );
        return None;
    }
    Some(bytes(&certificates))
}

/// Those of the system that can be understood.
fn of_system(place: Place, findings: &Findings) -> Option<Vec<Vec<u8>>> {
    let mut found = rustls_native_certs::load_native_certs().certs;
    found.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    // Their files come in any order.
    found.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
    found.dedup();
    if found.is_empty() {
        findings.push(
            Finding::error("this system has no certificate authorities to check an upstream with")
                .at(place, "")
                .help("install the package ca-certificates, set SSL_CERT_FILE, or name a 'ca_file' in [sites.proxy.tls]"),
        );
        return None;
    }
    Some(bytes(&found))
}

fn bytes(certificates: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    certificates.iter().map(|it| it.to_vec()).collect()
}
