//! What tells one state of a file from another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// A file that changed this recently may change again without its times moving (the kernel's clock ticks).
const RACY: Duration = Duration::from_millis(20);
/// The last second that an HTTP date can tell.
const LAST_DATE: i64 = 253_402_300_799;

/// Tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[cfg(test)]
impl Stamp {
    pub(in crate::http) fn of_size(size: u64) -> Self {
        Self {
            device: 1,
            inode: 1,
            size,
            modified: (0, 0),
            changed: (0, 0),
        }
    }
}

impl Stamp {
    // The widths of these fields differ by architecture.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    pub(super) fn new(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// A strong validator (RFC 9110 section 8.8.1).
    pub(super) fn etag(&self) -> String {
        let nanoseconds = |(seconds, nanoseconds): (i64, i64)| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        let (modified, changed) = (nanoseconds(self.modified), nanoseconds(self.changed));
        format!(
            "\"{:x}-{:x}-{:x}-{:x}\"",
            self.inode,
            self.size,
            modified,
            changed.wrapping_sub(modified)
        )
    }

    /// Whether it may change again unseen, or be in the midst of a write.
    pub(super) fn is_racy(&self) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let Ok(seconds) = u64::try_from(seconds) else {
            return false;
        };
        let changed = Duration::new(seconds, u32::try_from(nanoseconds).unwrap_or(0));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        changed + RACY > now
    }

    /// Seconds since the epoch: never later than now (RFC 9110 section 8.8.2.1), never outside of what a date can tell.
    pub(super) fn last_modified(&self) -> i64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        self.modified
            .0
            .min(i64::try_from(now).unwrap_or(LAST_DATE))
            .clamp(0, LAST_DATE)
    }
}
