//! A file that is being sent.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{Stat, fstat};

/// An open file, and what tells whether its bytes are still those of the moment when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    opened: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    size: i64,
    modified: (i64, i64),
}

impl OpenFile {
    /// # Errors
    /// When the file's state cannot be asked for.
    pub fn new(file: File) -> io::Result<Self> {
        let opened = State::new(&fstat(&file)?);
        Ok(Self { file, opened })
    }

    /// Between two parts of a message: they must be of the same state.
    ///
    /// A file that grew is taken for one that is appended to, as a log is: what was there is still there.
    ///
    /// # Errors
    /// When the file was written to or became shorter. The message must then break off, as its end would be of another
    /// state than its beginning.
    pub fn check_unchanged(&self) -> io::Result<()> {
        let now = State::new(&fstat(&self.file)?);
        if now == self.opened || now.size > self.opened.size {
            return Ok(());
        }
        Err(io::Error::other("the file changed while it was sent"))
    }

    /// Whether neither its size nor its time of modification changed.
    pub fn is_as_opened(&self) -> bool {
        fstat(&self.file).is_ok_and(|stat| State::new(&stat) == self.opened)
    }

    /// Reads at `offset`, perhaps less than `buffer` takes.
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

impl State {
    // The widths of these fields differ by architecture.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    fn new(stat: &Stat) -> Self {
        Self {
            size: stat.st_size as i64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        }
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_file_may_grow_but_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "old").unwrap();
        let mut writer = File::options().append(true).open(&path).unwrap();
        writer.set_modified(UNIX_EPOCH).unwrap();
        let open = OpenFile::new(File::open(&path).unwrap()).unwrap();
        assert!(open.check_unchanged().is_ok());
        writer.write_all(b"er").unwrap();
        assert!(open.check_unchanged().is_ok());
        writer.set_len(3).unwrap();
        writer
            .set_modified(UNIX_EPOCH + Duration::from_secs(1))
            .unwrap();
        assert!(open.check_unchanged().is_err());
        writer.set_len(2).unwrap();
        assert!(open.check_unchanged().is_err());
    }
}
