//! The listening sockets: those that systemd holds for us, and those that the master binds itself.
//!
//! - `held`: one of them
//! - `bind`: a new one; `holder`: who has the port if it cannot be had

mod bind;
mod held;
mod holder;

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use self::held::{Held, Origin, hold, listening};
use crate::config::types::{ListenAddress, Listener};
use crate::core::takeover::descriptors::{self, Number};
use crate::systemd::activation::Inherited;
use crate::systemd::fd_store;

/// A listening socket and the number of the listener that it serves.
pub type Assigned = (Rc<OwnedFd>, u32);

/// Every listening socket that the master holds.
#[derive(Default)]
pub struct Sockets {
    held: Vec<Held>,
    /// Whether systemd passed any.
    activated: bool,
    /// What root could not bind for us, and why: it sees more than we do.
    refused: Vec<(ListenAddress, String)>,
    /// Why root does not bind anything for us.
    declined: Option<String>,
}

/// Why a listener has no socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong and what to do.
    pub text: String,
    /// It is free, but not for us: root may bind it.
    pub denied: bool,
}

/// What the next program needs to know of them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    held: Vec<(Number, Origin)>,
    refused: Vec<(ListenAddress, String)>,
    declined: Option<String>,
}

impl Record {
    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        self.held.iter().map(|(number, _)| *number)
    }
}

impl Sockets {
    pub fn new(inherited: Option<Vec<Inherited>>) -> Self {
        let activated = inherited.is_some();
        let held = inherited.into_iter().flatten().filter_map(hold).collect();
        Self {
            held,
            activated,
            ..Self::default()
        }
    }

    /// A socket for each of `listeners`; what is missing is bound. The error names every listener that cannot be had.
    pub fn assign(&mut self, listeners: &[Listener]) -> Result<Vec<Assigned>, Vec<Problem>> {
        let mut problems = Vec::new();
        for listener in listeners {
            if !self.holds(&listener.address) {
                match self.bind(&listener.address) {
                    Ok(held) => self.held.push(held),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        self.refused.clear();
        self.declined = None;
        match problems.is_empty() {
            true => Ok(self.assigned(listeners)),
            false => Err(problems),
        }
    }

    /// The sockets that are held for any of `listeners`.
    pub fn assigned(&self, listeners: &[Listener]) -> Vec<Assigned> {
        let assigned = self.held.iter().filter_map(|held| {
            let listener = held.choose(listeners)?;
            Some((held.socket.clone(), listener))
        });
        assigned.collect()
    }

    pub fn holds(&self, address: &ListenAddress) -> bool {
        self.held.iter().any(|held| held.serves(address))
    }

    /// Takes a socket that root bound for us. Without effect when it is no listening one.
    pub fn accept(&mut self, socket: OwnedFd) {
        if let Some(local) = listening(&socket) {
            self.held.push(Held {
                socket: Rc::new(socket),
                local,
                origin: Origin::Own,
            });
        }
    }

    /// Remembers why root could not bind it, until the next [`Self::assign`].
    pub fn refuse(&mut self, address: ListenAddress, problem: String) {
        self.refused.push((address, problem));
    }

    /// Remembers why root binds nothing, until the next [`Self::assign`].
    pub fn decline(&mut self, reason: String) {
        self.declined = Some(reason);
    }

    /// Has the service manager keep the sockets in `used` that nobody else holds: they survive this process.
    pub fn store(&mut self, used: &[Assigned]) {
        let is_used = |held: &Held| {
            used.iter()
                .any(|(socket, _)| Rc::ptr_eq(socket, &held.socket))
        };
        for held in &mut self.held {
            if held.origin == Origin::Own && is_used(held) {
                let name = fd_store::name(&held.local.describe());
                if fd_store::keep(&name, held.socket.as_fd()) {
                    held.origin = Origin::Store(name);
                }
            }
        }
    }

    /// Closes the sockets that are not among `used`, those that the service manager keeps for us with `kept`. What a
    /// socket unit passed stays open: closing it would not give it back.
    pub fn retain(&mut self, used: &[Assigned], kept: bool) {
        self.held.retain(|held| {
            let is_used = used
                .iter()
                .any(|(socket, _)| Rc::ptr_eq(socket, &held.socket));
            let stays = match &held.origin {
                Origin::Unit(_) => true,
                Origin::Store(_) => is_used || kept,
                Origin::Own => is_used,
            };
            if !stays {
                held.leave();
            }
            stays
        });
    }

    /// Closes what nobody else holds: nobody will serve there any more.
    pub fn close_own(&mut self) {
        self.held.retain(|held| {
            let own = held.origin == Origin::Own;
            if own {
                held.leave();
            }
            !own
        });
    }

    /// Sockets of systemd that no listener uses, for a warning.
    pub fn unused(&self, listeners: &[Listener]) -> Vec<String> {
        let idle = self
            .held
            .iter()
            .filter(|held| held.choose(listeners).is_none());
        idle.filter_map(|held| {
            let Origin::Unit(unit) = &held.origin else {
                return None;
            };
            Some(format!(
                "{} (from socket unit '{unit}')",
                held.local.describe()
            ))
        })
        .collect()
    }

    /// Where a socket stands in the [`Self::record`].
    pub fn place(&self, socket: &Rc<OwnedFd>) -> Option<usize> {
        self.held
            .iter()
            .position(|held| Rc::ptr_eq(socket, &held.socket))
    }

    pub fn record(&self) -> Record {
        let number = |held: &Held| Number(held.socket.as_raw_fd());
        let held = self.held.iter();
        Record {
            held: held
                .map(|held| (number(held), held.origin.clone()))
                .collect(),
            refused: self.refused.clone(),
            declined: self.declined.clone(),
        }
    }

    /// The sockets of the program before, and each by its place; None: it was lost on the way.
    pub fn resume(record: Record) -> (Self, Vec<Option<Rc<OwnedFd>>>) {
        let mut sockets = Self {
            refused: record.refused,
            declined: record.declined,
            ..Self::default()
        };
        let mut places = Vec::new();
        for (number, origin) in record.held {
            sockets.activated |= matches!(origin, Origin::Unit(_));
            let held = descriptors::claim(number)
                .ok()
                .and_then(|socket| Held::new(socket, origin));
            places.push(held.as_ref().map(|held| held.socket.clone()));
            match held {
                Some(held) => sockets.held.push(held),
                None => tracing::error!("a listening socket was lost on the way"),
            }
        }
        (sockets, places)
    }

    fn bind(&self, address: &ListenAddress) -> Result<Held, Problem> {
        let socket = bind::listening(address).map_err(|error| self.explain(address, &error))?;
        Held::new(socket, Origin::Own).ok_or_else(|| Problem {
            text: format!("{} cannot be used", describe(address)),
            denied: false,
        })
    }

    fn explain(&self, address: &ListenAddress, error: &io::Error) -> Problem {
        if let Some((_, problem)) = self.refused.iter().find(|(one, _)| one == address) {
            return Problem {
                text: problem.clone(),
                denied: false,
            };
        }
        let denied = bind::is_denied(error);
        let mut text = bind::explain(address, error, self.activated);
        if let (true, Some(reason)) = (denied, &self.declined) {
            text = format!("{} is not bound by root: {reason}", describe(address));
        }
        Problem { text, denied }
    }
}

/// Binds as this process may: for the helper that does it as root. The error says what is wrong and what to do.
pub fn bind_for_master(address: &ListenAddress) -> Result<OwnedFd, String> {
    bind::listening(address).map_err(|error| bind::explain(address, &error, false))
}

fn describe(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Port(port) => format!("port {port}"),
        ListenAddress::Address(address) => format!("'{address}'"),
        ListenAddress::Unix(path) => format!("'unix:{}'", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::held::Local;
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
        sockets.retain(&[], false);
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
        sockets.retain(&assigned, false);
        assert_eq!(sockets.held.len(), 1);
        drop(assigned);
        sockets.retain(&[], false);
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    }

    #[test]
    fn a_socket_of_the_store_is_given_back_when_no_configuration_wants_it() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let inherited = Inherited {
            socket: socket.into(),
            name: fd_store::name(&local.to_string()),
        };
        let mut sockets = Sockets::new(Some(vec![inherited]));
        assert!(sockets.unused(&[]).is_empty(), "it is no unit's");
        sockets.retain(&[], true);
        assert!(sockets.holds(&ListenAddress::Address(local)));
        sockets.retain(&[], false);
        assert!(std::net::TcpListener::bind(local).is_ok());
    }

    #[test]
    fn what_root_could_not_bind_is_told_in_its_words() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = ListenAddress::Address(other.local_addr().unwrap());
        let mut sockets = Sockets::default();
        sockets.refuse(wanted.clone(), "root knows why".into());
        let listeners = [listener(wanted)];
        let problems = sockets.assign(&listeners).err().unwrap();
        assert_eq!(problems[0].text, "root knows why");
        let problems = sockets.assign(&listeners).err().unwrap();
        assert!(problems[0].text.contains("is taken"), "once only");
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
            problems[0].text.contains(&format!("port {port} is taken")),
            "{problems:?}"
        );
        assert!(
            problems[0].text.contains(&std::process::id().to_string()),
            "{problems:?}"
        );
    }
}
