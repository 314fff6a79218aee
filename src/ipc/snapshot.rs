//! The validated configuration as a sealed memfd (memfd_create(2)): one for a generation, read by all its workers, so
//! that each runs exactly what was checked.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::config::types::Config;

/// Writes `config` into a memfd that nobody can change any more.
pub fn seal(config: &Config) -> io::Result<OwnedFd> {
    let bytes = postcard::to_allocvec(config).map_err(io::Error::other)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("bws-config", flags)?);
    file.write_all(&bytes)?;
    file.rewind()?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// Reads a configuration that [`seal`] wrote.
pub fn open(snapshot: OwnedFd) -> io::Result<Config> {
    let file = File::from(snapshot);
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
    // The file offset is shared with the other workers that got the same memfd.
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0)?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}
