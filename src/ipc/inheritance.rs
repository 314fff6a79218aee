//! How a worker gets its descriptors: by the protocol of sd_listen_fds(3), each with a name in `LISTEN_FDNAMES`.

use std::os::fd::{FromRawFd as _, OwnedFd};

/// The worker's end of the control channel.
pub const CONTROL: &str = "bws-control";
/// The configuration snapshot.
pub const CONFIG: &str = "bws-config";
/// The counters page.
pub const COUNTERS: &str = "bws-counters";
/// What outlives workers (`metrics::lasting`).
pub const LASTING: &str = "bws-lasting";
/// A listening socket.
pub const LISTEN: &str = "bws-listen";

/// What the master gave to this worker.
pub struct Inheritance {
    pub control: OwnedFd,
    pub config: OwnedFd,
    pub counters: OwnedFd,
    pub lasting: OwnedFd,
    /// In the order of `Assignment::sockets`.
    pub sockets: Vec<OwnedFd>,
}

/// This process was not started by a BWS master.
#[derive(Debug, thiserror::Error)]
#[error("'--worker' is for the master's use only: start BWS with 'bws --config FILE'")]
pub struct NotAWorker;

impl Inheritance {
    /// Takes what `LISTEN_FDS` and `LISTEN_FDNAMES` announce.
    pub fn take() -> Result<Self, NotAWorker> {
        let names = std::env::var("LISTEN_FDNAMES").map_err(|_| NotAWorker)?;
        let mut inherited = listenfd::ListenFd::from_env();
        let (mut control, mut config) = (None, None);
        let (mut counters, mut lasting) = (None, None);
        let mut sockets = Vec::new();
        for (index, name) in names.split(':').enumerate() {
            let raw = inherited
                .take_raw_fd(index)
                .ok()
                .flatten()
                .ok_or(NotAWorker)?;
            let descriptor = own(raw);
            match name {
                CONTROL => control = Some(descriptor),
                CONFIG => config = Some(descriptor),
                COUNTERS => counters = Some(descriptor),
                LASTING => lasting = Some(descriptor),
                _ => sockets.push(descriptor),
            }
        }
        match (control, config, counters, lasting) {
            (Some(control), Some(config), Some(counters), Some(lasting)) => Ok(Self {
                control,
                config,
                counters,
                lasting,
                sockets,
            }),
            _ => Err(NotAWorker),
        }
    }
}

#[allow(unsafe_code)]
fn own(raw: i32) -> OwnedFd {
    // SAFETY: listenfd hands each inherited descriptor out once, and nothing else of this process knows its number.
    let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
    // Not for programs that we might ever start. (It cannot fail on an open descriptor.)
    let _ = rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC);
    descriptor
}
