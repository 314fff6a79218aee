//! Binding of listening sockets, and what to tell the operator when it fails.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
};

use super::{describe, holder};
use crate::config::types::ListenAddress;

/// Both have root bind it.
const HELPER: &str =
    "systemctl reload bws (without systemd: 'sudo bws bind-ports', then 'bws reload')";
/// The kernel lowers it to net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// A socket that listens on `address`.
pub(super) fn listening(address: &ListenAddress) -> io::Result<OwnedFd> {
    match address {
        ListenAddress::Port(port) => any_address(*port),
        ListenAddress::Address(address) => tcp(*address, false),
        ListenAddress::Unix(path) => unix(path),
    }
}

/// Whether another user might be allowed to.
pub(super) fn is_denied(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        // The last one: the sandbox has no such addresses.
        Some(Errno::ACCESS | Errno::PERM | Errno::AFNOSUPPORT)
    )
}

/// All addresses of both families; IPv4 alone on a host without IPv6.
fn any_address(port: u16) -> io::Result<OwnedFd> {
    let result = tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), true);
    match result.as_ref().map_err(Errno::from_io_error) {
        Err(Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)) => {
            tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), false)
        }
        _ => result,
    }
}

fn tcp(address: SocketAddr, dual_stack: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let socket = stream_socket(family)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !dual_stack)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn unix(path: &Path) -> io::Result<OwnedFd> {
    let socket = stream_socket(AddressFamily::UNIX)?;
    let address = SocketAddrUnix::new(path)?;
    let mut result = bind(&socket, &address);
    // A file that a killed server left behind.
    if result == Err(Errno::ADDRINUSE) && UnixStream::connect(path).is_err_and(is_refused) {
        std::fs::remove_file(path)?;
        result = bind(&socket, &address);
    }
    result?;
    // As SocketMode= of a socket unit, whatever the umask of the service: the folder says who may come.
    rustix::fs::chmod(path, Mode::from_raw_mode(0o666))?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn is_refused(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

/// What is wrong and what to do.
pub(super) fn explain(address: &ListenAddress, error: &io::Error, activated: bool) -> String {
    let name = describe(address);
    match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => format!("{name} is taken{}", taken_advice(address)),
        Some(Errno::ACCESS | Errno::PERM | Errno::AFNOSUPPORT) if activated => format!(
            "{name} is not held: systemd passed no socket for it and BWS may not bind it ({error}). \
             Run: {HELPER}, or: {}",
            unit_command(address)
        ),
        Some(Errno::ACCESS | Errno::PERM) => format!(
            "{name} cannot be bound ({error}): ports below 1024 are root's. \
             Run: {HELPER}, or choose another port"
        ),
        Some(Errno::ADDRNOTAVAIL) => {
            format!("{name} cannot be bound: no interface of this host has that address")
        }
        _ => format!("{name} cannot be bound: {error}"),
    }
}

fn unit_command(address: &ListenAddress) -> String {
    let instance = match address {
        ListenAddress::Port(port) => port.to_string(),
        ListenAddress::Address(address) => format!("$(systemd-escape '{address}')"),
        ListenAddress::Unix(path) => format!("$(systemd-escape '{}')", path.display()),
    };
    format!("systemctl enable bws@{instance}.socket && systemctl restart bws")
}

fn taken_advice(address: &ListenAddress) -> String {
    let port = match address {
        ListenAddress::Port(port) => *port,
        ListenAddress::Address(address) => address.port(),
        ListenAddress::Unix(_) => {
            return ": another program listens on it; stop that program or choose another path"
                .into();
        }
    };
    match holder::of_port(port) {
        Some(program) => format!(" by {program}: stop it or choose another port"),
        None => format!(
            " by another program ('ss -ltnp sport = :{port}' shows which): stop it or choose another port"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn everybody_may_use_a_unix_socket_whose_folder_lets_them_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.sock");
        let _socket = unix(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
    }
}
