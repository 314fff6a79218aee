//! `client_ca` and the keys beside it: which clients a site lets in.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate, X509Version};

use super::super::defaults::MAX_FILE_SIZE;
use super::super::hash;
use super::super::pem;
use super::super::raw::{self, Raw};
use super::super::report::{Finding, Findings};
use super::super::source::{self, Located, Place};
use super::super::types::{ClientVerification, Config, Der, Revocations, RevocationsId, SiteTls};
use super::Context;
use super::global::is_on;
use super::trust::Authorities;

/// The lists of revoked certificates of a configuration, each file read once.
#[derive(Default)]
pub(super) struct Revoked {
    /// By the place of `client_crl`; a file that was refused is not in here.
    named: HashMap<Place, RevocationsId>,
    pub(super) all: Vec<Revocations>,
    pub(super) files: Vec<PathBuf>,
}

/// The `client_ca` of a site that speaks TLS.
pub(super) fn authority(site: &raw::Site) -> Option<&Located<PathBuf>> {
    let ssl = site.ssl.as_ref()?;
    let file = ssl.client_ca.as_ref();
    file.filter(|_| is_on(ssl.enabled.as_ref(), true))
}

/// Reads what the sites name; `authorities` are known.
pub(super) fn read(raw: &Raw, authorities: &Authorities, context: &Context<'_>) -> Revoked {
    let mut revoked = Revoked::default();
    let mut known: HashMap<PathBuf, Option<RevocationsId>> = HashMap::new();
    let mut checked = HashSet::new();
    for site in raw.sites() {
        let crl = site.ssl.as_ref().and_then(|ssl| ssl.client_crl.as_ref());
        let (Some(ca), Some(crl)) = (authority(site), crl) else {
            continue;
        };
        let Some(path) = context.file_or_credential(crl) else {
            continue;
        };
        let id = known.entry(path).or_insert_with_key(|path| {
            let lists = lists(path, crl.place, context.findings)?;
            Some(revoked.add(lists))
        });
        let (Some(id), Some(trust)) = (id.clone(), authorities.find(Some(ca))) else {
            continue;
        };
        if checked.insert((trust.clone(), id.clone())) {
            let lists = revoked.lists(&id);
            check_lists(
                authorities.certificates(&trust),
                lists,
                crl,
                context.findings,
            );
        }
        revoked.named.insert(crl.place, id);
    }
    revoked.files = known.into_keys().collect();
    revoked
}

impl Revoked {
    fn add(&mut self, lists: Vec<Der>) -> RevocationsId {
        let id = RevocationsId(hash::digest(lists.iter().map(|list| &**list)));
        if !self.all.iter().any(|known| known.id == id) {
            let id = id.clone();
            self.all.push(Revocations { id, lists });
        }
        id
    }

    fn lists(&self, id: &RevocationsId) -> &[Der] {
        let found = self.all.iter().find(|known| known.id == *id);
        found.map_or(&[], |found| &found.lists)
    }
}

/// What the table asks of clients. None: that is not known, and has been said.
pub(super) fn resolve(
    ssl: &raw::site::Ssl,
    context: &Context<'_>,
) -> Option<Option<Box<ClientVerification>>> {
    let verify = ssl.client_verify.as_ref();
    let Some(file) = &ssl.client_ca else {
        let crl = ssl.client_crl.as_ref().map(|it| ("client_crl", it.place));
        let idle = verify.map(|it| ("client_verify", it.place));
        let mut findings = idle.into_iter().chain(crl).peekable();
        let known = ssl.damaged || findings.peek().is_none();
        findings.for_each(|(key, place)| context.findings.push(lonely(key, place)));
        return known.then_some(None);
    };
    let trust = context.authorities.find(Some(file))?;
    let revocations = match &ssl.client_crl {
        Some(crl) => Some(context.authorities.revoked.named.get(&crl.place)?.clone()),
        None => None,
    };
    Some(Some(Box::new(ClientVerification {
        trust,
        required: verify.is_none_or(|verify| verify.value),
        revocations,
    })))
}

fn lonely(key: &str, place: Place) -> Finding {
    Finding::error(format!("'{key}' says nothing without 'client_ca'"))
        .at(place, "")
        .help("name the authority of your clients with 'client_ca', or remove this")
}

/// Looks at the authorities of a `client_ca`.
pub(super) fn check(read: &[Vec<u8>], file: &Located<PathBuf>, findings: &Findings) {
    let now = seconds_now();
    for der in read {
        // What cannot be parsed was refused before.
        let Ok((_, authority)) = X509Certificate::from_der(der) else {
            continue;
        };
        let (path, subject) = (file.value.display(), authority.subject());
        // Those of version 1 cannot say it.
        if authority.version() == X509Version::V3 && !authority.is_ca() {
            findings.push(
                Finding::warning(format!("'{path}' holds a certificate that is no authority's: '{subject}'"))
                    .at(file.place, "")
                    .help("put the certificate of the authority that signs your clients' certificates there, not theirs"),
            );
        }
        let until = authority.validity().not_after.timestamp();
        if until < now {
            let until = pem::show_date(until);
            findings.push(
                Finding::warning(format!(
                    "the authority '{subject}' in '{path}' expired on {until}"
                ))
                .at(file.place, "")
                .help(
                    "clients that it signed are still let in: renew it, or remove it from the file",
                ),
            );
        }
    }
}

/// The lists in a PEM file, DER.
fn lists(file: &Path, place: Place, findings: &Findings) -> Option<Vec<Der>> {
    let refuse = |message: String, help: &str| {
        findings.push(Finding::error(message).at(place, "").help(help));
    };
    let bytes = match source::read_limited(file, MAX_FILE_SIZE) {
        Ok(bytes) => bytes,
        Err(error) => {
            refuse(error.message, &error.help);
            return None;
        }
    };
    let shown = file.display();
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    let found = found.unwrap_or_default();
    if found.is_empty() {
        refuse(
            format!("'{shown}' holds no list of revoked certificates"),
            "name a PEM file with '-----BEGIN X509 CRL-----'; DER is converted by: openssl crl -inform der -in FILE",
        );
        return None;
    }
    Some(found.iter().map(|list| list.to_vec().into()).collect())
}

/// Whether lists will do for the clients of these authorities.
fn check_lists(
    authorities: &[Vec<u8>],
    lists: &[Der],
    crl: &Located<PathBuf>,
    findings: &Findings,
) {
    let shown = crl.value.display();
    let refuse = |what: String, help: &str| {
        let finding = Finding::error(format!("'{shown}' {what}"));
        findings.push(finding.at(crl.place, "").help(help));
    };
    if let Err(reason) = build(authorities, lists) {
        return refuse(
            format!("holds a list of revoked certificates that cannot be used: {reason}"),
            "let the authority make a new one (X.509 version 2, RFC 5280)",
        );
    }
    let parse = |der| Some(CertificateRevocationList::from_der(der).ok()?.1);
    let lists: Vec<_> = lists.iter().filter_map(|der| parse(der)).collect();
    for list in &lists {
        let next = list.next_update().map(|next| next.timestamp());
        if let Some(next) = next.filter(|next| *next < seconds_now()) {
            let (issuer, next) = (list.issuer(), pem::show_date(next));
            return refuse(
                format!(
                    "holds a list of '{issuer}' that was valid until {next}: no client would be let in"
                ),
                "get the authority's new one, or check the clock of this machine",
            );
        }
    }
    let issuers: Vec<_> = lists.iter().map(|list| list.issuer().as_raw()).collect();
    for der in authorities {
        let Ok((_, authority)) = X509Certificate::from_der(der) else {
            continue;
        };
        let subject = authority.subject();
        if !issuers.contains(&subject.as_raw()) {
            return refuse(
                format!("has no list of '{subject}': no client that it signed would be let in"),
                "put the lists of all authorities of 'client_ca' into the file, one after the other",
            );
        }
    }
}

/// As a worker will.
fn build(authorities: &[Vec<u8>], lists: &[Der]) -> Result<(), VerifierBuilderError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().map(|der| der.clone().into()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let lists = lists.iter().map(|der| der.to_vec().into());
    verifier.with_crls(lists).build().map(drop)
}

/// Once one site verifies clients, none passes on what clients say of that.
pub(super) fn guard(config: &mut Config) {
    let verifies = |tls: &SiteTls| tls.clients.is_some();
    if config
        .sites
        .iter()
        .filter_map(|site| site.tls.as_ref())
        .any(verifies)
    {
        for proxy in config
            .sites
            .iter_mut()
            .filter_map(|site| site.proxy.as_mut())
        {
            proxy.headers.guard_client_certificates = true;
        }
    }
}

fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}
