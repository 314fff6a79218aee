//! Certificates of the configuration in force: those whose files did not change are taken over as they are, so that a
//! reload parses what is new and nothing else.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use crate::config::pem::{Pair, Refusal};
use crate::config::types::{CertificateEntry, Certificates, Stamp};

/// What is known already, and how much was not.
pub(in crate::config::resolve) struct Earlier<'a> {
    /// By the paths of certificate and key.
    known: HashMap<[&'a [u8]; 2], &'a CertificateEntry>,
    parsed: AtomicUsize,
}

impl<'a> Earlier<'a> {
    pub(in crate::config::resolve) fn new(certificates: Option<&'a Certificates>) -> Self {
        let entries = certificates.map(Certificates::entries).unwrap_or_default();
        let entries = entries.iter().filter(|it| !it.certificate.is_placeholder());
        let by_paths = |entry: &'a CertificateEntry| {
            let certificate = &*entry.certificate;
            (paths(&certificate.cert_file, &certificate.key_file), entry)
        };
        Self {
            known: entries.map(by_paths).collect(),
            parsed: AtomicUsize::new(0),
        }
    }

    /// What is in these files, if they look as before.
    pub(in crate::config::resolve) fn unchanged(
        &self,
        cert: &Path,
        key: &Path,
    ) -> Option<CertificateEntry> {
        let known = self.known(cert, key)?;
        let before = known.files.as_ref()?;
        is_unchanged(before, [cert, key]).then(|| known.clone())
    }

    /// What is in these files: from before if they look as before or hold the same, else parsed and checked.
    pub(in crate::config::resolve) fn read(
        &self,
        cert: &Path,
        key: &Path,
    ) -> Result<CertificateEntry, Refusal> {
        if let Some(entry) = self.unchanged(cert, key) {
            return Ok(entry);
        }
        let pair = Pair::read(cert, key)?;
        let files = Some(pair.files);
        let certificate = match self.known(cert, key) {
            Some(entry) if pair.is_in(&entry.certificate) => entry.certificate.clone(),
            _ => {
                self.parsed.fetch_add(1, Ordering::Relaxed);
                Arc::new(pair.check()?)
            }
        };
        Ok(CertificateEntry { certificate, files })
    }

    fn known(&self, cert: &Path, key: &Path) -> Option<&'a CertificateEntry> {
        self.known.get(&paths(cert, key)).copied()
    }

    pub(in crate::config::resolve) fn parsed(&self) -> usize {
        self.parsed.load(Ordering::Relaxed)
    }
}

fn paths<'a>(cert: &'a Path, key: &'a Path) -> [&'a [u8]; 2] {
    [cert, key].map(|path| path.as_os_str().as_encoded_bytes())
}

fn is_unchanged(before: &[Stamp; 2], paths: [&Path; 2]) -> bool {
    let now = SystemTime::now();
    let mut pairs = before.iter().zip(paths);
    pairs.all(|(before, path)| {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|metadata| Stamp::new(&metadata, now).proves_unchanged(before))
    })
}
