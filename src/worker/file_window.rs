//! A stretch of address space that stands for file contents in hyper's write path, so that a file goes out by
//! sendfile(2) although hyper only knows byte slices.
//!
//! A file chunk shows hyper a slice of this window, as long as the chunk. When the connection's I/O type is asked to
//! write a slice that lies in the window, it takes the range from the connection's own queue ([`FileQueue`]) and calls
//! sendfile instead. The window is one read-only anonymous mapping that is never touched: it costs no memory, and if a
//! mistake made somebody read it, there would be zeros, not a fault.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags};

use crate::http::body::FileSlice;

/// Lengths to try, as a limit on address space (RLIMIT_AS) may forbid the larger ones.
const LENGTHS: [usize; 3] = [1 << 30, 64 << 20, 1 << 20];

/// The file ranges that a connection has handed to hyper and not yet sent, in order.
pub type FileQueue = RefCell<VecDeque<FileSlice>>;

/// The window; empty when the system refused even the smallest.
pub fn window() -> &'static [u8] {
    static WINDOW: OnceLock<&'static [u8]> = OnceLock::new();
    WINDOW.get_or_init(|| {
        LENGTHS
            .iter()
            .find_map(|&length| reserve(length))
            .unwrap_or_default()
    })
}

/// Whether `slice` stands for file contents.
pub fn contains(slice: &[u8]) -> bool {
    window().as_ptr_range().contains(&slice.as_ptr())
}

fn reserve(length: usize) -> Option<&'static [u8]> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe {
        rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::READ, flags).ok()?
    };
    // SAFETY: the mapping is `length` long, readable, never written and never unmapped.
    Some(unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_slices_lie_in_the_window() {
        assert!(contains(&window()[5..9]));
        assert!(contains(&window()[..1]));
        assert!(!contains(b"text"));
        assert!(!contains(&[]));
    }
}
