//! Whether upstreams can be connected to, asked of many at once.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::report::{Finding, Findings};
use super::source::{Place, reason};
use super::types::UpstreamAddress;
use crate::dns::Resolver;

/// Threads that connect at the same time.
const PARALLEL: usize = 32;

/// An upstream server and where it is configured.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) address: UpstreamAddress,
    pub(super) place: Place,
}

/// How to connect.
struct Attempts {
    resolver: Resolver,
    timeout: Duration,
}

/// Tries each address once, with names as `resolver` knows them; each failure is a finding for every upstream that has the address.
pub(super) fn test(targets: &[Target], resolver: Resolver, timeout: Duration, findings: &Findings) {
    let mut distinct: Vec<&UpstreamAddress> = Vec::new();
    let mut number = HashMap::new();
    for target in targets {
        number.entry(&target.address).or_insert_with(|| {
            distinct.push(&target.address);
            distinct.len() - 1
        });
    }
    let attempts = Attempts { resolver, timeout };
    let failures = attempts.failures(&distinct);
    for target in targets {
        let Some(failure) = failures.get(&number[&target.address]) else {
            continue;
        };
        let message = format!("upstream '{}' cannot be reached: {failure}", target.name);
        let help = "start it, or correct its url; without a connectivity test BWS would start";
        findings.push(Finding::error(message).at(target.place, "").help(help));
    }
}

impl Attempts {
    /// What went wrong, by position in `addresses`.
    fn failures(&self, addresses: &[&UpstreamAddress]) -> HashMap<usize, String> {
        let queue = Mutex::new(addresses.iter().enumerate());
        let failures = Mutex::new(HashMap::new());
        let work = || {
            loop {
                // A panic in between is impossible; a poisoned queue is still a queue.
                let next = queue.lock().unwrap_or_else(|it| it.into_inner()).next();
                let Some((number, address)) = next else {
                    return;
                };
                if let Err(error) = self.attempt(address) {
                    let mut failures = failures.lock().unwrap_or_else(|it| it.into_inner());
                    failures.insert(number, reason(&error));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..addresses.len().min(PARALLEL) {
                // Without another thread this one does all the work.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        failures.into_inner().unwrap_or_else(|it| it.into_inner())
    }

    fn attempt(&self, address: &UpstreamAddress) -> io::Result<()> {
        let deadline = Instant::now() + self.timeout;
        match address {
            UpstreamAddress::Http { host, port } => self.attempt_tcp(host, *port, deadline),
            UpstreamAddress::Unix(path) => attempt_unix(path),
            UpstreamAddress::Service(name) => self.attempt_service(name, deadline),
        }
    }

    fn attempt_tcp(&self, host: &str, port: u16, deadline: Instant) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in self.resolver.wait_for_addresses(host, left(deadline)?)? {
            let address = SocketAddr::new(address, port);
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// One target that can be reached will do.
    fn attempt_service(&self, name: &str, deadline: Instant) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the service has no server");
        for target in self.resolver.wait_for_targets(name, left(deadline)?)? {
            match self.attempt_tcp(&target.host, target.port, deadline) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

/// A full backlog (EAGAIN) means that somebody listens.
fn attempt_unix(path: &Path) -> io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_what_does_not_listen_fails() {
        let folder = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let path = folder.path().join("socket");
        let _unix = UnixListener::bind(&path).unwrap();
        let http = |port| UpstreamAddress::Http {
            host: "127.0.0.1".to_owned(),
            port,
        };
        let addresses = [
            http(tcp.local_addr().unwrap().port()),
            http(closed),
            UpstreamAddress::Unix(path),
            UpstreamAddress::Unix(folder.path().join("missing")),
        ];
        let all: Vec<&UpstreamAddress> = addresses.iter().collect();
        let attempts = Attempts {
            resolver: Resolver::new(vec![]),
            timeout: Duration::from_secs(5),
        };
        let mut failed: Vec<usize> = attempts.failures(&all).into_keys().collect();
        failed.sort_unstable();
        assert_eq!(failed, [1, 3]);
    }
}
