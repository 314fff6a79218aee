//! Content hashes: equal hashes serve alike.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use super::types::{Config, Site};

/// Fills in the hash of the configuration and of each site.
pub(super) fn fill(config: &mut Config) {
    let certificates: Vec<String> = config
        .certificates
        .iter()
        .map(|it| digest(&[&bytes(it)]))
        .collect();
    for site in &mut config.sites {
        site.hash = site_hash(site, &certificates);
    }
    // Where a configuration came from changes nothing about how it serves.
    let sources = std::mem::take(&mut config.sources);
    config.hash.clear();
    config.hash = digest(&[&bytes(config)]);
    config.sources = sources;
}

/// The certificate counts with its content: its index changes when other sites come and go.
fn site_hash(site: &mut Site, certificates: &[String]) -> String {
    site.hash.clear();
    let index = site
        .tls
        .as_mut()
        .map(|tls| std::mem::take(&mut tls.certificate));
    let certificate = index.and_then(|index| certificates.get(index as usize));
    let hash = digest(&[&bytes(site), certificate.map_or(&[], |it| it.as_bytes())]);
    if let (Some(tls), Some(index)) = (&mut site.tls, index) {
        tls.certificate = index;
    }
    hash
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("a configuration serializes into memory")
}

fn digest(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
