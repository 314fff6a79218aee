//! Reads a folder.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat, fstat, statat};
use rustix::io::Result;

use crate::http::static_files::beneath;
use crate::http::static_files::path::is_hidden;

/// How much of a folder is read.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    shown: usize,
    /// Hidden ones, too.
    seen: usize,
}

pub(super) const LIMITS: Limits = Limits {
    shown: 10_000,
    seen: 100_000,
};

/// A folder to be read, by whatever thread.
pub(in crate::http::static_files) struct Reader {
    pub(in crate::http::static_files) root: OwnedFd,
    /// From the root, with a slash behind it; empty for the root.
    pub(in crate::http::static_files) folder: Vec<u8>,
    pub(in crate::http::static_files) follow_symlinks: bool,
}

/// What lies in a folder: folders first, then files, each by name.
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// There is more than is shown.
    pub(super) is_cut: bool,
}

pub(super) struct Entry {
    /// Without a slash.
    pub(super) name: Vec<u8>,
    /// Bytes; None for a folder.
    pub(super) size: Option<u64>,
    /// Seconds since the epoch.
    pub(super) modified: u64,
}

pub(super) fn read(reader: &Reader, limits: Limits) -> Result<Listing> {
    let name = if reader.folder.is_empty() {
        b"."
    } else {
        &reader.folder[..]
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = beneath::open(reader.root.as_fd(), name, flags, reader.follow_symlinks)?;
    let mut listing = Listing {
        entries: Vec::new(),
        is_cut: false,
    };
    for (seen, entry) in Dir::read_from(&folder)?.enumerate() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        // What names the folder and its parent begins with a dot, too.
        if is_hidden(name) && seen < limits.seen {
            continue;
        }
        if seen >= limits.seen || listing.entries.len() >= limits.shown {
            listing.is_cut = true;
            break;
        }
        listing.entries.extend(reader.look(&folder, name));
    }
    listing.entries.sort_by_cached_key(sort_key);
    Ok(listing)
}

/// Folders first; upper and lower case side by side.
fn sort_key(entry: &Entry) -> (bool, Vec<u8>, Vec<u8>) {
    let folded = String::from_utf8_lossy(&entry.name).to_lowercase();
    (
        entry.size.is_some(),
        folded.into_bytes(),
        entry.name.clone(),
    )
}

impl Reader {
    /// None when it is nothing that we would serve.
    fn look(&self, folder: &OwnedFd, name: &[u8]) -> Option<Entry> {
        let mut stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let mut kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink && self.follow_symlinks {
            stat = self.behind_link(name)?;
            kind = FileType::from_raw_mode(stat.st_mode);
        }
        let size = match kind {
            FileType::RegularFile => Some(stat.st_size.unsigned_abs()),
            FileType::Directory => None,
            _ => return None,
        };
        Some(Entry {
            name: name.to_vec(),
            size,
            modified: u64::try_from(stat.st_mtime).unwrap_or(0),
        })
    }

    /// What a link leads to, if that is within the root.
    fn behind_link(&self, name: &[u8]) -> Option<Stat> {
        let path = [&self.folder, name].concat();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = beneath::open(self.root.as_fd(), &path, flags, true).ok()?;
        fstat(file).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &std::path::Path, follow_symlinks: bool) -> Vec<String> {
        let reader = Reader {
            root: std::fs::File::open(folder).unwrap().into(),
            folder: Vec::new(),
            follow_symlinks,
        };
        let shown = |entry: Entry| {
            let slash = if entry.size.is_none() { "/" } else { "" };
            String::from_utf8(entry.name).unwrap() + slash
        };
        read(&reader, LIMITS)
            .unwrap()
            .entries
            .into_iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn what_would_be_served_is_shown_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b.txt", "A.txt", "ü.txt", ".secret", "C"] {
            std::fs::write(path(name), "x").unwrap();
        }
        for name in ["z", "Y", ".git", ".well-known"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        symlink("b.txt", path("inner")).unwrap();
        symlink("/etc/passwd", path("outer")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        let fifo = path("fifo");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        let shown = [".well-known/", "Y/", "z/", "A.txt", "b.txt", "C", "ü.txt"];
        assert_eq!(names(folder.path(), false), shown);
        let shown = [
            ".well-known/",
            "Y/",
            "z/",
            "A.txt",
            "b.txt",
            "C",
            "inner",
            "ü.txt",
        ];
        assert_eq!(names(folder.path(), true), shown);
    }

    #[test]
    fn a_long_folder_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..10 {
            std::fs::write(folder.path().join(format!("{number}")), "").unwrap();
            std::fs::write(folder.path().join(format!(".{number}")), "").unwrap();
        }
        let reader = Reader {
            root: std::fs::File::open(folder.path()).unwrap().into(),
            folder: Vec::new(),
            follow_symlinks: false,
        };
        let shown = |shown, seen| {
            let listing = read(&reader, Limits { shown, seen }).unwrap();
            (listing.entries.len(), listing.is_cut)
        };
        assert_eq!(shown(10, 100), (10, false));
        assert_eq!(shown(9, 100), (9, true));
        assert!(shown(10, 5).0 <= 5 && shown(10, 5).1);
    }
}
