//! The validated configuration as a sealed memfd (memfd_create(2)): one for a generation, read by all its workers, so
//! that each runs exactly what was checked.
//!
//! The file holds the lengths of what follows, the configuration without its sites and certificates, the certificates,
//! and the sites in parts, so that several threads can read them: each postcard-encoded.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::thread::{self, Builder, ScopedJoinHandle};

use rustix::fs::{MemfdFlags, SealFlags};
use serde::Serialize;

use super::mapping;
use crate::config::types::{Certificates, Config, Site};

/// Fewer sites are not worth a thread's while.
const SMALLEST_PART: usize = 1000;
/// More threads hardly help.
const MOST_PARTS: usize = 8;
/// Bytes of a site, roughly.
const USUAL_SITE: usize = 256;

/// A memfd to be filled by [`seal`]. It may be handed to a worker before, which then has to wait.
pub fn blank() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(rustix::fs::memfd_create("bws-config", flags)?)
}

/// Writes `config` into `memory`, which nobody can change any more then.
pub fn seal(config: &Config, memory: &OwnedFd) -> io::Result<()> {
    let [ends, records] = config.certificates.write().map_err(io::Error::other)?;
    let mut parts = vec![encode(config, 0)?, ends, records];
    for sites in config.sites.chunks(part_size(config)) {
        parts.push(encode(&sites, sites.len())?);
    }
    let mut lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
    // The certificates are read as one.
    lengths[1] += lengths.remove(2);
    let mut file = File::from(memory.try_clone()?);
    file.write_all(&encode(&lengths, 0)?)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    Ok(rustix::fs::fcntl_add_seals(&file, seals)?)
}

/// Reads a configuration that [`seal`] wrote.
pub fn open(snapshot: OwnedFd) -> io::Result<Config> {
    let file = File::from(snapshot);
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
    // The file offset is shared with the other workers that got the same memfd.
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0)?;
    decode(&bytes, Certificates::read).map_err(io::Error::other)
}

/// The same for a worker, which keeps the file mapped and reads from it the certificates that clients ask for.
pub fn open_for_worker(snapshot: OwnedFd) -> io::Result<Config> {
    let bytes = mapping::map(&File::from(snapshot))?;
    decode(bytes, Certificates::lazy).map_err(io::Error::other)
}

/// As many parts as a worker has threads.
fn part_size(config: &Config) -> usize {
    let parts = config.performance.worker_threads as usize;
    let size = config.sites.len().div_ceil(parts.clamp(1, MOST_PARTS));
    size.max(SMALLEST_PART)
}

fn encode(value: &impl Serialize, sites: usize) -> io::Result<Vec<u8>> {
    let bytes = Vec::with_capacity(sites * USUAL_SITE);
    postcard::to_extend(value, bytes).map_err(io::Error::other)
}

fn decode<'a>(
    bytes: &'a [u8],
    certificates: fn(&'a [u8]) -> postcard::Result<Certificates>,
) -> postcard::Result<Config> {
    let (lengths, mut rest): (Vec<usize>, _) = postcard::take_from_bytes(bytes)?;
    let mut parts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let cut = rest.split_at_checked(length);
        let (part, more) = cut.ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        parts.push(part);
        rest = more;
    }
    let mut parts = parts.into_iter();
    let mut config: Config = postcard::from_bytes(parts.next().unwrap_or_default())?;
    config.certificates = certificates(parts.next().unwrap_or_default())?;
    config.sites = decode_sites(parts.collect())?;
    Ok(config)
}

/// Each part by a thread of its own, the first by this one.
fn decode_sites(parts: Vec<&[u8]>) -> postcard::Result<Vec<Site>> {
    let Some((first, others)) = parts.split_first() else {
        return Ok(Vec::new());
    };
    thread::scope(|scope| {
        let read = |part| postcard::from_bytes::<Vec<Site>>(part);
        let start = |part| (part, Builder::new().spawn_scoped(scope, move || read(part)));
        let helpers: Vec<_> = others.iter().copied().map(start).collect();
        let mut sites = read(first)?;
        for (part, helper) in helpers {
            let more = match helper.map(ScopedJoinHandle::join) {
                Ok(Ok(more)) => more?,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // No thread could be started.
                Err(_) => read(part)?,
            };
            sites.extend(more);
        }
        Ok(sites)
    })
}
