//! A site's root folder, and opening below it so that the kernel keeps us inside.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{Errno, Result};

use crate::config::types::StaticFiles;
use crate::http::clock;

/// How long we believe that the folder at the root's path is still the one we hold: with the lifetime of cache
/// entries this stays below a second.
const BELIEVE_MS: u64 = 50;

/// The root of one site, opened when first needed and again when another folder lies there.
pub(in crate::http) struct Root {
    path: PathBuf,
    resolve: ResolveFlags,
    pub(super) index_files: Vec<String>,
    held: RefCell<Option<Rc<OwnedFd>>>,
    checked_ms: Cell<u64>,
}

impl Root {
    pub(in crate::http) fn new(files: &StaticFiles) -> Self {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if !files.follow_symlinks {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        Self {
            path: files.root.clone(),
            resolve,
            index_files: files.index_files.clone(),
            held: RefCell::new(None),
            checked_ms: Cell::new(0),
        }
    }

    /// Opens `name` (relative, not empty) for reading, and says what it is.
    pub(super) fn open(&self, name: &[u8]) -> Result<(OwnedFd, Stat)> {
        let folder = self.folder()?;
        // NONBLOCK: opening a FIFO must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut attempts = 0;
        let file = loop {
            match rustix::fs::openat2(folder.as_fd(), name, flags, Mode::empty(), self.resolve) {
                // A rename raced with the check for `..` (openat2(2)), or a signal came.
                Err(Errno::AGAIN | Errno::INTR) if attempts < 8 => attempts += 1,
                result => break result?,
            }
        };
        let stat = rustix::fs::fstat(&file)?;
        Ok((file, stat))
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
