//! The sockets that systemd passed, by the protocol of sd_listen_fds(3).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd};

use libsystemd::activation;

/// A descriptor that the service manager holds open for us.
pub struct Inherited {
    pub socket: OwnedFd,
    /// `FileDescriptorName=`, else the name of the socket unit.
    pub name: String,
}

/// Takes what `LISTEN_FDS` announces, and the announcement out of the environment. None: this process was not
/// socket-activated. Call it once, before there are threads.
pub fn take() -> io::Result<Option<Vec<Inherited>>> {
    if std::env::var_os("LISTEN_FDS").is_none() {
        return Ok(None);
    }
    let descriptors = match std::env::var_os("LISTEN_FDNAMES") {
        Some(_) => activation::receive_descriptors_with_names(true),
        None => activation::receive_descriptors(true).map(without_names),
    };
    let inherited: Vec<Inherited> = descriptors
        .map_err(io::Error::other)?
        .into_iter()
        .map(own)
        .collect();
    Ok(Some(inherited).filter(|inherited| !inherited.is_empty()))
}

fn without_names(
    descriptors: Vec<activation::FileDescriptor>,
) -> Vec<(activation::FileDescriptor, String)> {
    descriptors
        .into_iter()
        .map(|descriptor| (descriptor, "unknown".into()))
        .collect()
}

fn own((descriptor, name): (activation::FileDescriptor, String)) -> Inherited {
    // SAFETY: the service manager gave us this descriptor, it is handed out once, and nothing else knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor.into_raw_fd()) };
    Inherited { socket, name }
}
