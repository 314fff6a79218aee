//! Small messages in one piece: for a head and a kilobyte the kernel takes less time than for two slices of them.

use std::cell::RefCell;
use std::io::IoSlice;

/// Most bytes that are worth copying.
const MOST: usize = 4096;

thread_local! {
    static SPACE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(MOST));
}

/// Shows `slices` as one to `send`; None, and not called, when there is but one or they are too long.
pub fn joined<T>(slices: &[IoSlice<'_>], send: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let length: usize = slices.iter().map(|slice| slice.len()).sum();
    if slices.len() < 2 || length > MOST {
        return None;
    }
    Some(SPACE.with_borrow_mut(|space| {
        space.clear();
        for slice in slices {
            space.extend_from_slice(slice);
        }
        send(space)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_goes_out_whole() {
        let join = |parts: &[&[u8]]| {
            let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            joined(&slices, <[u8]>::to_vec)
        };
        assert_eq!(
            join(&[b"head", b"", b"body"]).as_deref(),
            Some(&b"headbody"[..])
        );
        assert_eq!(join(&[b"head"]), None);
        assert_eq!(join(&[b"head", &[0; MOST]]), None);
        assert_eq!(join(&[b"a", b"b"]).as_deref(), Some(&b"ab"[..]));
    }
}
