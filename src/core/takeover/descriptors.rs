//! Open files that pass from one program to the next, by number.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use serde::{Deserialize, Serialize};

/// The number of an open descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Number(pub RawFd);

/// Standard input and output are nobody's to claim.
const FIRST: RawFd = 3;

/// Descriptors that live on in the next program, unless this is dropped before.
pub struct Kept {
    numbers: BTreeSet<Number>,
}

/// Lets these descriptors, which this process has open, survive an exec.
pub fn keep(numbers: impl IntoIterator<Item = Number>) -> io::Result<Kept> {
    let kept = Kept {
        numbers: numbers.into_iter().collect(),
    };
    for number in &kept.numbers {
        set_flags(*number, FdFlags::empty())?;
    }
    Ok(kept)
}

impl Drop for Kept {
    fn drop(&mut self) {
        for number in &self.numbers {
            let _ = set_flags(*number, FdFlags::CLOEXEC);
        }
    }
}

fn set_flags(number: Number, flags: FdFlags) -> io::Result<()> {
    if number.0 < FIRST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: only a flag of an open descriptor is changed, within this call; a closed one is an error (EBADF).
    let descriptor = unsafe { BorrowedFd::borrow_raw(number.0) };
    fcntl_setfd(descriptor, flags)?;
    Ok(())
}

/// Takes what the program before left open under this number. To be called once for each number that it named.
pub fn claim(number: Number) -> io::Result<OwnedFd> {
    if number.0 < FIRST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: only its flags are read, within this call; a closed one is an error (EBADF).
    fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number.0) })?;
    // SAFETY: it is open, and was left to us under this number; nothing else in this process knows it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number.0) };
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_kept_descriptor_is_closed_on_exec_again_when_nothing_came_of_it() {
        let file = tempfile::tempfile().unwrap();
        let kept = keep([Number(file.as_raw_fd())]).unwrap();
        assert_eq!(fcntl_getfd(&file).unwrap(), FdFlags::empty());
        drop(kept);
        assert_eq!(fcntl_getfd(&file).unwrap(), FdFlags::CLOEXEC);
    }

    #[test]
    fn a_number_that_is_not_open_is_an_error() {
        assert!(claim(Number(1_000_000)).is_err());
        assert!(claim(Number(1)).is_err());
        assert!(keep([Number(-1)]).is_err());
    }
}
