//! One listening socket: its address, and who else holds it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::net::sockopt;
use serde::{Deserialize, Serialize};

use crate::config::types::{ListenAddress, Listener};
use crate::systemd::activation::Inherited;
use crate::systemd::fd_store;

pub(super) struct Held {
    pub(super) socket: Rc<OwnedFd>,
    pub(super) local: Local,
    pub(super) origin: Origin,
}

/// Who else holds a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Origin {
    /// The socket unit of this name.
    Unit(String),
    /// The service manager keeps it for us, under this name.
    Store(String),
    /// Nobody.
    Own,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Local {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl Held {
    pub(super) fn new(socket: OwnedFd, origin: Origin) -> Option<Self> {
        let local = local_address(&socket)?;
        Some(Self {
            socket: Rc::new(socket),
            local,
            origin,
        })
    }

    /// Before it is closed.
    pub(super) fn leave(&self) {
        if let Origin::Store(name) = &self.origin {
            fd_store::forget(name);
        }
        if let Local::Unix(path) = &self.local {
            let _ = std::fs::remove_file(path);
        }
    }

    pub(super) fn serves(&self, address: &ListenAddress) -> bool {
        match (address, &self.local) {
            (ListenAddress::Port(port), Local::Ip(local)) => local.port() == *port,
            (ListenAddress::Address(wanted), Local::Ip(local)) => {
                // "0.0.0.0:80" is served by what systemd makes of ListenStream=80: "[::]:80", dual stack.
                let both_any = wanted.ip().is_unspecified() && local.ip().is_unspecified();
                wanted == local || (both_any && wanted.port() == local.port())
            }
            (ListenAddress::Unix(wanted), Local::Unix(local)) => wanted == local,
            _ => false,
        }
    }

    /// The listener that this socket serves: one with its very address before one with its port.
    pub(super) fn choose(&self, listeners: &[Listener]) -> Option<u32> {
        let is_port = |listener: &Listener| matches!(listener.address, ListenAddress::Port(_));
        let fits = |listener: &Listener| self.serves(&listener.address);
        let specific = listeners.iter().position(|one| fits(one) && !is_port(one));
        let chosen = specific.or_else(|| listeners.iter().position(fits))?;
        u32::try_from(chosen).ok()
    }
}

impl Local {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Ip(address) => address.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

/// Takes a socket of systemd, if it is one that accepts stream connections.
pub(super) fn hold(inherited: Inherited) -> Option<Held> {
    let Inherited { socket, name } = inherited;
    let stored = fd_store::is_ours(&name);
    let Some(local) = listening(&socket) else {
        tracing::warn!(
            "the descriptor '{name}' from systemd is no listening stream socket: it is not used"
        );
        return None;
    };
    // The folder that it was in may be gone with the last stop, and nobody can reach it any more.
    if let (true, Local::Unix(path)) = (stored, &local) {
        if !path.exists() {
            fd_store::forget(&name);
            return None;
        }
    }
    let origin = match stored {
        true => Origin::Store(name),
        false => Origin::Unit(name),
    };
    Held::new(socket, origin)
}

/// Its address, if it accepts stream connections. It does not block from then on.
pub(super) fn listening(socket: &OwnedFd) -> Option<Local> {
    let stream =
        sockopt::socket_type(socket).is_ok_and(|kind| kind == rustix::net::SocketType::STREAM);
    let listens = sockopt::socket_acceptconn(socket).unwrap_or(false);
    let _ = rustix::io::ioctl_fionbio(socket, true);
    local_address(socket).filter(|_| stream && listens)
}

pub(super) fn local_address(socket: &OwnedFd) -> Option<Local> {
    let address = rustix::net::getsockname(socket).ok()?;
    if let Ok(ip) = SocketAddr::try_from(address.clone()) {
        return Some(Local::Ip(ip));
    }
    let unix = rustix::net::SocketAddrUnix::try_from(address).ok()?;
    let path = unix.path()?;
    Some(Local::Unix(Path::new(path.to_str().ok()?).to_path_buf()))
}
