//! Content hashes: equal hashes serve alike.

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use super::parallel;
use super::types::{Certificate, CertificateIndex, Config, Site, SiteTls};

/// Fewer sites are not worth a thread's while.
const PART: usize = 500;
/// Bytes that will do for most.
const USUAL_SITE: usize = 512;

/// Fills in the hash of the configuration and of each site.
pub(super) fn fill(config: &mut Config) {
    let entries = config.certificates.entries().iter();
    let certificates: Vec<&str> = entries.map(|it| &*it.certificate.hash).collect();
    let passwords: Vec<String> = config
        .password_files
        .iter()
        .map(|it| digest([&bytes(it)[..]]))
        .collect();
    let parts = config.sites.chunks_mut(PART).collect();
    parallel::map(parts, |sites: &mut [Site]| {
        for site in sites {
            site.hash = site_hash(site, &certificates, &passwords);
        }
    });
    // Where a configuration came from changes nothing about how it serves.
    let sources = std::mem::take(&mut config.sources);
    config.hash.clear();
    // Without sites and certificates.
    let rest = bytes(config);
    let parts = config.sites.iter().map(|site| site.hash.as_bytes());
    let certificates = certificates.iter().map(|hash| hash.as_bytes());
    config.hash = digest(parts.chain(certificates).chain([&rest[..]]));
    config.sources = sources;
}

/// SHA-256 in hexadecimal.
pub(super) fn of_text(text: &str) -> String {
    digest([text.as_bytes()])
}

/// The hash of a certificate, which is filled in once for all configurations that it is part of.
pub(super) fn of_certificate(certificate: &mut Certificate) {
    certificate.hash.clear();
    certificate.hash = digest([&bytes(certificate)[..]]);
}

/// Certificate and passwords count with their content: their indices change when other sites come and go.
fn site_hash(site: &mut Site, certificates: &[&str], passwords: &[String]) -> String {
    site.hash.clear();
    let indices = site.tls.as_mut().map(take_certificates);
    let auth = site.middleware.basic_auth.as_mut();
    let file = auth.map(|auth| std::mem::take(&mut auth.file));
    let shown = indices
        .iter()
        .flat_map(|(first, others)| std::iter::once(first).chain(others));
    let shown = shown.filter_map(|index| certificates.get(*index as usize));
    let known = file.and_then(|index| passwords.get(index as usize));
    let own = bytes(site);
    let parts = [&own[..], known.map(String::as_bytes).unwrap_or_default()];
    let hash = digest(parts.into_iter().chain(shown.map(|hash| hash.as_bytes())));
    if let (Some(tls), Some(indices)) = (&mut site.tls, indices) {
        (tls.certificate, tls.alternatives) = indices;
    }
    if let (Some(auth), Some(index)) = (&mut site.middleware.basic_auth, file) {
        auth.file = index;
    }
    hash
}

fn take_certificates(tls: &mut SiteTls) -> (CertificateIndex, Vec<CertificateIndex>) {
    let others = std::mem::take(&mut tls.alternatives);
    (std::mem::take(&mut tls.certificate), others)
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    let bytes = Vec::with_capacity(USUAL_SITE);
    postcard::to_extend(value, bytes).expect("a configuration serializes into memory")
}

pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut context = Context::new(&SHA256);
    parts.into_iter().for_each(|part| context.update(part));
    hexadecimal(context.finish().as_ref())
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let text = digits.map(|digit| DIGITS[usize::from(digit)]).collect();
    String::from_utf8(text).expect("digits are ASCII")
}
