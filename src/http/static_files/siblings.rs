//! Files that lie compressed beside their originals: `x.css.br` beside `x.css`.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Stat};

use super::root::Root;
use crate::config::types::Algorithm;

const SUFFIXES: [(Algorithm, &[u8]); 3] = [
    (Algorithm::Zstd, b".zst"),
    (Algorithm::Br, b".br"),
    (Algorithm::Gzip, b".gz"),
];

/// A file that holds the compressed bytes of another.
pub(super) struct Sibling {
    pub(super) algorithm: Algorithm,
    pub(super) file: OwnedFd,
    pub(super) stat: Stat,
}

/// The siblings of the file at `name` that are not older than it; none unless the site compresses.
pub(super) fn find(root: &Root, name: &[u8], original: &Stat) -> Vec<Sibling> {
    let Some(compression) = &root.rules.compression else {
        return Vec::new();
    };
    let is_one_itself = SUFFIXES.iter().any(|(_, suffix)| name.ends_with(suffix));
    if is_one_itself || original.st_size == 0 {
        return Vec::new();
    }
    let wanted = SUFFIXES
        .iter()
        .filter(|(algorithm, _)| compression.algorithms.contains(algorithm));
    wanted
        .filter_map(|(algorithm, suffix)| {
            let (file, stat) = root.open(&[name, suffix].concat()).ok()?;
            let usable = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && stat.st_size > 0
                && modified(&stat) >= modified(original);
            usable.then_some(Sibling {
                algorithm: *algorithm,
                file,
                stat,
            })
        })
        .collect()
}

// The widths of these fields differ by architecture.
#[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
fn modified(stat: &Stat) -> (i64, i64) {
    (stat.st_mtime as i64, stat.st_mtime_nsec as i64)
}
