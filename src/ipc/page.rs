//! A text too long for a message: a sealed memfd beside it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags};

/// Nobody can change it any more.
pub fn seal(text: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("bws-page", flags)?);
    file.write_all(text)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// What [`seal`] was given.
pub fn read(page: OwnedFd) -> io::Result<Vec<u8>> {
    let file = File::from(page);
    let mut text = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
    file.read_exact_at(&mut text, 0)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_read() {
        let text = b"figures\n".repeat(10_000);
        assert_eq!(read(seal(&text).unwrap()).unwrap(), text);
    }
}
