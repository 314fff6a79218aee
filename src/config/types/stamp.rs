//! What tells one state of a file from another without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that was written within this time may be written again without its times moving: clocks of file systems tick
/// every 10 ms, every second, or on FAT every two.
const RACY: Duration = Duration::from_secs(3);

/// Where a file's content is, and when it was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// The kernel sets it with every write, rename and change of mode, and no program can set it back.
    changed: (i64, i64),
    modified: (i64, i64),
    mode: u32,
    /// When this was seen, no later write could have left it as it is.
    settled: bool,
}

impl Stamp {
    /// `now` is not after the moment at which the system gave `metadata`.
    pub fn new(metadata: &Metadata, now: SystemTime) -> Self {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            mode: metadata.mode(),
            settled: changed(metadata) + RACY < since(now),
        }
    }

    /// Whether a file that looks like this was not written since it looked like `earlier`.
    pub fn proves_unchanged(&self, earlier: &Self) -> bool {
        earlier.settled && self == earlier
    }

    /// Every user of the machine may read the file.
    pub fn is_readable_by_all(&self) -> bool {
        self.mode & 0o004 != 0
    }
}

/// Since the epoch.
fn changed(metadata: &Metadata) -> Duration {
    let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_may_be_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "a").unwrap();
        let stamp = |now| Stamp::new(&std::fs::metadata(&file).unwrap(), now);
        let (early, late) = (SystemTime::now(), SystemTime::now() + 2 * RACY);
        assert!(!stamp(early).proves_unchanged(&stamp(early)));
        assert!(!stamp(late).proves_unchanged(&stamp(early)));
        assert!(stamp(late).proves_unchanged(&stamp(late)));
        let before = stamp(late);
        std::fs::write(&file, "b").unwrap();
        assert!(!stamp(late).proves_unchanged(&before));
    }
}
