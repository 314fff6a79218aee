//! What the service manager is told (sd_notify(3)). Without one, nothing happens.
//!
//! The socket is opened once, at the start: READY=1 must arrive also when there are no descriptors left.

use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use sd_notify::NotifyState;

static MANAGER: OnceLock<Option<Manager>> = OnceLock::new();

/// Where messages go.
struct Manager {
    address: SocketAddr,
    socket: UnixDatagram,
}

/// Opens the socket that `NOTIFY_SOCKET` names, if any.
pub fn connect() {
    MANAGER.get_or_init(Manager::from_environment);
}

/// Whether a service manager listens.
pub fn is_supervised() -> bool {
    MANAGER.get_or_init(Manager::from_environment).is_some()
}

impl Manager {
    fn from_environment() -> Option<Self> {
        let path = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
        let opened = address(path.as_bytes()).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            Ok(Self { address, socket })
        });
        match opened {
            Ok(manager) => Some(manager),
            Err(error) => {
                tracing::warn!("the service manager at {path:?} cannot be notified: {error}");
                None
            }
        }
    }

    fn send(&self, text: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        // Not connected for good: the service manager may have opened its socket anew.
        self.socket.connect_addr(&self.address)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<_> = descriptor.into_iter().collect();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let slices = [IoSlice::new(text.as_bytes())];
        let flags = SendFlags::NOSIGNAL;
        rustix::net::sendmsg(self.socket.as_fd(), &slices, &mut ancillary, flags)?;
        Ok(())
    }
}

/// A path, or an abstract name behind an "@".
fn address(name: &[u8]) -> io::Result<SocketAddr> {
    match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)),
    }
}

/// Sends lines as in sd_notify(3), with a descriptor beside them. False: nobody took them.
pub(super) fn send_with(text: &str, descriptor: Option<BorrowedFd<'_>>) -> bool {
    let manager = MANAGER.get_or_init(Manager::from_environment);
    let Some(manager) = manager else { return false };
    let sent = manager.send(text, descriptor);
    if let Err(error) = &sent {
        tracing::debug!("the service manager was not notified: {error}");
    }
    sent.is_ok()
}

fn send(states: &[NotifyState<'_>]) {
    let mut text = String::new();
    for state in states {
        // Writing into a String does not fail.
        let _ = writeln!(text, "{state}");
    }
    send_with(&text, None);
}

pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

pub fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Asks for this much more time for the start, reload or stop that is under way.
pub fn extend(time: Duration) {
    let microseconds = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    send(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
}

/// Tells the watchdog that the loop turns.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How long the watchdog waits for [`alive`] until it restarts the service. None: nobody watches.
pub fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

/// A reload that the service manager knows of. However it ends, dropping this sends READY=1: systemd 252 and 257 would
/// else show "reloading" for ever.
#[must_use]
pub struct Reloading {
    status: Option<String>,
}

impl Reloading {
    pub fn begin(status: &str) -> Self {
        let monotonic = NotifyState::monotonic_usec_now().ok();
        let states = [
            Some(NotifyState::Reloading),
            monotonic,
            Some(NotifyState::Status(status)),
        ];
        send(&states.into_iter().flatten().collect::<Vec<_>>());
        Self { status: None }
    }

    /// One that an earlier program of this process began.
    pub fn resume() -> Self {
        Self { status: None }
    }

    /// Ends it with this status.
    pub fn end(mut self, status: String) {
        self.status = Some(status);
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        match self.status.take() {
            Some(status) => ready(&status),
            None => send(&[NotifyState::Ready]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn messages_arrive_without_a_new_descriptor_also_at_a_socket_that_was_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let first = UnixDatagram::bind(&path).unwrap();
        let manager = Manager {
            address: address(path.as_os_str().as_bytes()).unwrap(),
            socket: UnixDatagram::unbound().unwrap(),
        };
        manager.send("READY=1\n", None).unwrap();
        assert_eq!(receive(&first), "READY=1\n");
        drop(first);
        std::fs::remove_file(&path).unwrap();
        assert!(manager.send("STATUS=x\n", None).is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        manager.send("FDSTORE=1\n", Some(second.as_fd())).unwrap();
        assert_eq!(receive(&second), "FDSTORE=1\n");
    }

    #[test]
    fn an_abstract_address_is_none_of_the_file_system() {
        assert!(address(b"@bws").unwrap().as_abstract_name().is_some());
        assert!(address(b"/run/notify").unwrap().as_pathname().is_some());
    }
}
