//! `[sites.ssl]` with files: which certificates a site shows.

use super::files;
use crate::config::raw;
use crate::config::report::{Finding, Findings};
use crate::config::resolve::Context;
use crate::config::source::{Located, Place};
use crate::config::types::{CertificateIndex, HostPattern, KeyKind};

/// The certificates of a site: the first, and others with keys of other kinds.
pub(in crate::config::resolve) fn resolve(
    ssl: &raw::site::Ssl,
    hostnames: &[Located<HostPattern>],
    context: &Context<'_>,
) -> Option<(CertificateIndex, Vec<CertificateIndex>)> {
    let complete = complain_of_missing(ssl, context.findings);
    let mut known: Vec<CertificateIndex> = Vec::new();
    for cert_file in files(ssl).map(|files| files.cert) {
        let Some(index) = context.certificate(cert_file, hostnames) else {
            continue;
        };
        let kind = context.key_kind(index);
        if kind.is_some() && known.iter().any(|other| context.key_kind(*other) == kind) {
            context.findings.push(two_of_a_kind(kind, cert_file.place));
        }
        known.push(index);
    }
    let mut known = known.into_iter();
    let first = known.next().filter(|_| complete)?;
    Some((first, known.collect()))
}

/// Whether each certificate has its key.
fn complain_of_missing(ssl: &raw::site::Ssl, findings: &Findings) -> bool {
    let own = (&ssl.cert_file, &ssl.key_file);
    let absent = own.0.is_none() && own.1.is_none() && !ssl.certificates.is_empty();
    let own = (!absent).then_some((own, "sites.ssl", ssl.place, ssl.damaged));
    let tables = ssl.certificates.iter().map(|table| {
        let files = (&table.cert_file, &table.key_file);
        (files, "sites.ssl.certificates", table.place, table.damaged)
    });
    let mut complete = true;
    for ((cert, key), table, place, damaged) in own.into_iter().chain(tables) {
        let missing = match (cert, key) {
            (Some(_), Some(_)) => continue,
            (None, None) => "neither 'cert_file' nor 'key_file'",
            (None, _) => "no 'cert_file'",
            _ => "no 'key_file'",
        };
        complete = false;
        if !damaged {
            let help = match table {
                "sites.ssl" => {
                    "name both files, PEM, or write 'auto_cert = true', or 'enabled = false'"
                }
                _ => "name both files, PEM",
            };
            let finding = Finding::error(format!("'{table}' has {missing}"));
            findings.push(finding.at(place, "").help(help));
        }
    }
    complete
}

fn two_of_a_kind(kind: Option<KeyKind>, place: Place) -> Finding {
    let kind = kind.map(KeyKind::name).unwrap_or_default();
    Finding::error(format!(
        "the site has two certificates with keys of the kind {kind}"
    ))
    .at(place, "no client would see this one")
    .help("remove one; several are for keys of several kinds, as ECDSA and RSA")
}

impl Context<'_> {
    fn key_kind(&self, index: CertificateIndex) -> Option<KeyKind> {
        let entry = self.certificates.certificates.get(index as usize)?;
        entry.certificate.kind
    }
}
