//! The memory behind `metrics::counters` and `metrics::lasting`: a memfd that master and worker map, so that what is in
//! it survives the worker.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// The master's mapping; unmapped when dropped.
pub struct SharedPage {
    memory: OwnedFd,
    start: *mut ::core::ffi::c_void,
    words: usize,
}

// SAFETY: the mapping is only reached through shared references to atomics.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// A page of `words` zeros. `name` is what /proc shows.
    pub fn create(name: &str, words: usize) -> io::Result<Self> {
        Self::shape(blank(name)?, words)
    }

    /// A page of `words` zeros in memory that nobody has used yet.
    pub fn shape(memory: OwnedFd, words: usize) -> io::Result<Self> {
        let words = words.max(1);
        rustix::fs::ftruncate(&memory, (words * size_of::<AtomicU64>()) as u64)?;
        // Without these seals a worker could make our next read a SIGBUS.
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW;
        rustix::fs::fcntl_add_seals(&memory, seals)?;
        Self::of(memory, words)
    }

    /// A page that this process had before it became another program.
    pub fn reopen(memory: OwnedFd) -> io::Result<Self> {
        let seals = rustix::fs::fcntl_get_seals(&memory)?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(io::Error::other("shared memory that may shrink"));
        }
        let words = length(&memory)?;
        Self::of(memory, words)
    }

    fn of(memory: OwnedFd, words: usize) -> io::Result<Self> {
        let start = map_shared(&memory, words)?;
        Ok(Self {
            memory,
            start,
            words,
        })
    }

    /// A descriptor of it to hand to a worker.
    pub fn for_worker(&self) -> io::Result<OwnedFd> {
        self.memory.try_clone()
    }

    pub fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is `words` long, page-aligned, zero-filled, cannot shrink (sealed), and lives as long
        // as `self`.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.words) }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: ours, and every reference into it borrowed `self`.
        let unmapped =
            unsafe { rustix::mm::munmap(self.start, self.words * size_of::<AtomicU64>()) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Memory that is to become a page. It may be handed to a worker before, which then has to wait.
pub fn blank(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(rustix::fs::memfd_create(name, flags)?)
}

/// The worker's mapping, kept until the process ends.
pub fn map(memory: OwnedFd) -> io::Result<&'static [AtomicU64]> {
    let words = length(&memory)?;
    let start = map_shared(&memory, words)?;
    // SAFETY: as in `words`; never unmapped.
    Ok(unsafe { std::slice::from_raw_parts(start.cast(), words) })
}

/// In words.
fn length(memory: &OwnedFd) -> io::Result<usize> {
    let bytes = usize::try_from(rustix::fs::fstat(memory)?.st_size).map_err(io::Error::other)?;
    Ok(bytes / size_of::<AtomicU64>())
}

fn map_shared(memory: &OwnedFd, words: usize) -> io::Result<*mut ::core::ffi::c_void> {
    let length = words * size_of::<AtomicU64>();
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            memory.as_fd(),
            0,
        )?
    };
    Ok(start)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn the_master_reads_what_the_worker_wrote() {
        let page = SharedPage::create("bws-test", 20).unwrap();
        let words = map(page.for_worker().unwrap()).unwrap();
        words[19].store(42, Ordering::Relaxed);
        assert_eq!(page.words()[19].load(Ordering::Relaxed), 42);
        assert_eq!(page.words().len(), 20);
    }
}
