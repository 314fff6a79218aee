//! Memory that nobody needs any more goes back to the system.
#![allow(unsafe_code)]

// main.rs makes it the allocator; this links it where only the library is tested.
use mimalloc as _;

unsafe extern "C" {
    /// mimalloc.h: what is not in use, and was not for `MIMALLOC_PURGE_DELAY`, is given back.
    fn mi_collect(force: bool);
}

/// Gives back what the process has not used for a moment. Costs little where there is nothing.
pub fn give_back() {
    // SAFETY: it has no conditions; any thread may call it at any time.
    unsafe { mi_collect(false) }
}
