//! The listening sockets: those that systemd holds for us, and those that the master binds itself.

mod bind;
mod holder;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::net::sockopt;

use crate::config::types::{ListenAddress, Listener};
use crate::systemd::activation::Inherited;

/// A listening socket and the number of the listener that it serves.
pub type Assigned = (Rc<OwnedFd>, u32);

/// Every listening socket that the master holds.
#[derive(Default)]
pub struct Sockets {
    held: Vec<Held>,
    /// Whether systemd passed any.
    activated: bool,
}

struct Held {
    socket: Rc<OwnedFd>,
    local: Local,
    /// The name of the socket unit; None: the master's own.
    unit: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Local {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl Sockets {
    pub fn new(inherited: Option<Vec<Inherited>>) -> Self {
        let activated = inherited.is_some();
        let held = inherited.into_iter().flatten().filter_map(hold).collect();
        Self { held, activated }
    }

    /// A socket for each of `listeners`; what is missing is bound. The error names every listener that cannot be had.
    pub fn assign(&mut self, listeners: &[Listener]) -> Result<Vec<Assigned>, Vec<String>> {
        let mut problems = Vec::new();
        for listener in listeners {
            if !self.held.iter().any(|held| held.serves(&listener.address)) {
                match self.bind(&listener.address) {
                    Ok(held) => self.held.push(held),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let assigned = self.held.iter().filter_map(|held| {
            let listener = held.choose(listeners)?;
            Some((held.socket.clone(), listener))
        });
        Ok(assigned.collect())
    }

    /// Closes the master's own sockets that are not among `used`. What systemd passed stays open: closing it would
    /// not give it back.
    pub fn retain(&mut self, used: &[Assigned]) {
        self.held.retain(|held| {
            let keep = held.unit.is_some()
                || used
                    .iter()
                    .any(|(socket, _)| Rc::ptr_eq(socket, &held.socket));
            if let (false, Local::Unix(path)) = (keep, &held.local) {
                let _ = std::fs::remove_file(path);
            }
            keep
        });
    }

    /// Sockets of systemd that no listener uses, for a warning.
    pub fn unused(&self, listeners: &[Listener]) -> Vec<String> {
        let idle = self
            .held
            .iter()
            .filter(|held| held.choose(listeners).is_none());
        idle.filter_map(|held| {
            let unit = held.unit.as_ref()?;
            Some(format!(
                "{} (from socket unit '{unit}')",
                held.local.describe()
            ))
        })
        .collect()
    }

    fn bind(&self, address: &ListenAddress) -> Result<Held, String> {
        let local = match address {
            ListenAddress::Port(port) => bind::any_address(*port),
            ListenAddress::Address(address) => bind::address(*address),
            ListenAddress::Unix(path) => bind::unix(path),
        };
        let socket = local.map_err(|error| bind::explain(address, &error, self.activated))?;
        hold_own(socket).ok_or_else(|| format!("{} cannot be used", describe(address)))
    }
}

impl Held {
    fn serves(&self, address: &ListenAddress) -> bool {
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
    fn choose(&self, listeners: &[Listener]) -> Option<u32> {
        let is_port = |listener: &Listener| matches!(listener.address, ListenAddress::Port(_));
        let fits = |listener: &Listener| self.serves(&listener.address);
        let specific = listeners.iter().position(|one| fits(one) && !is_port(one));
        let chosen = specific.or_else(|| listeners.iter().position(fits))?;
        u32::try_from(chosen).ok()
    }
}

impl Local {
    fn describe(&self) -> String {
        match self {
            Self::Ip(address) => address.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

fn describe(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Port(port) => format!("port {port}"),
        ListenAddress::Address(address) => format!("'{address}'"),
        ListenAddress::Unix(path) => format!("'unix:{}'", path.display()),
    }
}

/// Takes a socket of systemd, if it is one that accepts stream connections.
fn hold(inherited: Inherited) -> Option<Held> {
    let Inherited { socket, name } = inherited;
    let stream =
        sockopt::socket_type(&socket).is_ok_and(|kind| kind == rustix::net::SocketType::STREAM);
    let listens = sockopt::socket_acceptconn(&socket).unwrap_or(false);
    let held = local_address(&socket).filter(|_| stream && listens);
    let Some(local) = held else {
        tracing::warn!(
            "the descriptor '{name}' from systemd is no listening stream socket: it is not used"
        );
        return None;
    };
    let _ = rustix::io::ioctl_fionbio(&socket, true);
    Some(Held {
        socket: Rc::new(socket),
        local,
        unit: Some(name),
    })
}

fn hold_own(socket: OwnedFd) -> Option<Held> {
    let local = local_address(&socket)?;
    Some(Held {
        socket: Rc::new(socket),
        local,
        unit: None,
    })
}

fn local_address(socket: &OwnedFd) -> Option<Local> {
    let address = rustix::net::getsockname(socket).ok()?;
    if let Ok(ip) = SocketAddr::try_from(address.clone()) {
        return Some(Local::Ip(ip));
    }
    let unix = rustix::net::SocketAddrUnix::try_from(address).ok()?;
    let path = unix.path()?;
    Some(Local::Unix(Path::new(path.to_str().ok()?).to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: ListenAddress) -> Listener {
        Listener {
            address,
            tls: false,
            sites: vec![0],
            default_site: 0,
        }
    }

    fn port_of(sockets: &Sockets) -> u16 {
        match &sockets.held[0].local {
            Local::Ip(address) => address.port(),
            Local::Unix(_) => unreachable!("bound to an address"),
        }
    }

    #[test]
    fn a_socket_of_systemd_is_found_by_its_address_and_kept() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let inherited = Inherited {
            socket: socket.into(),
            name: "bws.socket".into(),
        };
        let mut sockets = Sockets::new(Some(vec![inherited]));
        let listeners = [
            listener(ListenAddress::Port(address.port())),
            listener(ListenAddress::Address(address)),
        ];
        let assigned = sockets.assign(&listeners).unwrap();
        assert_eq!(assigned.len(), 1);
        assert_eq!(assigned[0].1, 1, "the address wins over the port");
        sockets.retain(&[]);
        assert_eq!(sockets.unused(&[]).len(), 1);
    }

    #[test]
    fn own_sockets_are_bound_once_and_closed_when_dropped() {
        let mut sockets = Sockets::default();
        let any = listener(ListenAddress::Address("127.0.0.1:0".parse().unwrap()));
        let first = sockets.assign(std::slice::from_ref(&any));
        assert!(
            first.unwrap().is_empty(),
            "port 0 is never the port that was got"
        );
        let port = port_of(&sockets);
        let wanted = [listener(ListenAddress::Port(port))];
        let assigned = sockets.assign(&wanted).unwrap();
        sockets.retain(&assigned);
        assert_eq!(sockets.held.len(), 1);
        drop(assigned);
        sockets.retain(&[]);
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    }

    #[test]
    fn a_taken_port_says_so() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let problems = match Sockets::default().assign(&[listener(ListenAddress::Port(port))]) {
            Err(problems) => problems,
            Ok(_) => panic!("two programs listen on one port"),
        };
        assert!(
            problems[0].contains(&format!("port {port} is taken")),
            "{problems:?}"
        );
        assert!(
            problems[0].contains(&std::process::id().to_string()),
            "{problems:?}"
        );
    }
}
