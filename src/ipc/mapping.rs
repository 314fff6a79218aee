//! Sealed memory, read where it is.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, ProtFlags};

/// Maps a memfd that nobody can change any more, until the process ends.
pub fn map(file: &File) -> io::Result<&'static [u8]> {
    let needed = SealFlags::WRITE | SealFlags::SHRINK;
    if !rustix::fs::fcntl_get_seals(file)?.contains(needed) {
        return Err(io::Error::other("the configuration is not sealed"));
    }
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ,
            MapFlags::SHARED,
            file,
            0,
        )?
    };
    // SAFETY: `length` bytes are mapped and never unmapped; the seals keep everybody from writing to them or taking
    // them away.
    Ok(unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rustix::fs::MemfdFlags;

    use super::*;

    #[test]
    fn only_what_is_sealed_is_mapped() {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("bws-test", flags).unwrap());
        file.write_all(b"content").unwrap();
        assert!(map(&file).is_err());
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK).unwrap();
        assert_eq!(map(&file).unwrap(), b"content");
    }
}
