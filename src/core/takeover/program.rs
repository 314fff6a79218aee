//! The program on disk, and whether it is still the one that runs.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::core::process;

const OWN_IMAGE: &str = "/proc/self/exe";

/// Equal identities are one file that nobody has written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(path)?))
    }
}

impl From<&Metadata> for Identity {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

/// Where workers start from, and what this process runs.
pub struct Program {
    path: PathBuf,
    running: Identity,
    /// What lay on the path when this process became it: on some file systems it looks different from inside.
    became: Option<Identity>,
}

impl Program {
    pub fn of_this_process() -> io::Result<Self> {
        Ok(Self {
            path: process::program()?,
            running: Identity::of(Path::new(OWN_IMAGE))?,
            became: None,
        })
    }

    /// The same after a takeover.
    pub fn resumed(path: PathBuf, became: Identity) -> io::Result<Self> {
        Ok(Self {
            path,
            running: Identity::of(Path::new(OWN_IMAGE))?,
            became: Some(became),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies on the path when it is another file than the one that runs. None, too, when nothing lies there.
    pub fn replacement(&self) -> Option<Identity> {
        let found = Identity::of(&self.path).ok()?;
        (found != self.running && Some(found) != self.became).then_some(found)
    }

    /// What to start workers from: this very program, also when its file was replaced or deleted meanwhile.
    pub fn image(&self) -> PathBuf {
        let is_same = |found: Identity| found == self.running || Some(found) == self.became;
        match Identity::of(&self.path) {
            Ok(found) if is_same(found) => self.path.clone(),
            _ => PathBuf::from(OWN_IMAGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_has_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "one").unwrap();
        let program = Program {
            path: path.clone(),
            running: Identity::of(&path).unwrap(),
            became: None,
        };
        assert_eq!(program.replacement(), None);
        assert_eq!(program.image(), path);
        std::fs::write(folder.path().join("new"), "two").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert!(program.replacement().is_some());
        assert_eq!(program.image(), Path::new(OWN_IMAGE));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(program.replacement(), None);
    }
}
