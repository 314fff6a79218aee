//! A site's root folder, and opening files below it.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::Result;

use super::beneath;
use super::listing::Reader;
use super::rules::Rules;
use crate::config::types::StaticFiles;
use crate::http::clock;

/// How long we believe that the folder at the root's path is still the one we hold: with the lifetime of cache
/// entries this stays below a second.
const BELIEVE_MS: u64 = 50;

/// The root of one site, opened when first needed and again when another folder lies there.
pub(in crate::http) struct Root {
    path: PathBuf,
    follow_symlinks: bool,
    pub(super) index_files: Vec<String>,
    pub(super) rules: Rules,
    held: RefCell<Option<Rc<OwnedFd>>>,
    checked_ms: Cell<u64>,
}

impl Root {
    pub(in crate::http) fn new(files: &StaticFiles, rules: Rules) -> Self {
        Self {
            path: files.root.clone(),
            follow_symlinks: files.follow_symlinks,
            index_files: files.index_files.clone(),
            rules,
            held: RefCell::new(None),
            checked_ms: Cell::new(0),
        }
    }

    /// Opens `name` (relative, not empty) for reading, and says what it is.
    pub(super) fn open(&self, name: &[u8]) -> Result<(OwnedFd, Stat)> {
        let folder = self.folder()?;
        // NONBLOCK: opening a FIFO must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = beneath::open(folder.as_fd(), name, flags, self.follow_symlinks)?;
        let stat = rustix::fs::fstat(&file)?;
        Ok((file, stat))
    }

    /// Reads the folder `name` (relative, with a slash behind it, or empty) on another thread.
    pub(super) fn reader(&self, name: &[u8]) -> Result<Reader> {
        Ok(Reader {
            root: rustix::io::fcntl_dupfd_cloexec(&*self.folder()?, 0)?,
            folder: name.to_vec(),
            follow_symlinks: self.follow_symlinks,
        })
    }

    fn folder(&self) -> Result<Rc<OwnedFd>> {
        let now = clock::now_ms();
        let held = self.held.borrow().clone();
        match held {
            Some(held) if now.saturating_sub(self.checked_ms.get()) < BELIEVE_MS => Ok(held),
            Some(held) if self.still_lies_there(&held) => {
                self.checked_ms.set(now);
                Ok(held)
            }
            _ => self.open_folder(now),
        }
    }

    fn still_lies_there(&self, held: &OwnedFd) -> bool {
        match (
            rustix::fs::statat(CWD, &self.path, AtFlags::empty()),
            rustix::fs::fstat(held),
        ) {
            (Ok(there), Ok(held)) => (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino),
            _ => false,
        }
    }

    fn open_folder(&self, now: u64) -> Result<Rc<OwnedFd>> {
        self.held.replace(None);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = Rc::new(rustix::fs::openat(CWD, &self.path, flags, Mode::empty())?);
        self.held.replace(Some(folder.clone()));
        self.checked_ms.set(now);
        Ok(folder)
    }
}
