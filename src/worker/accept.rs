//! Accepting: a task for each listening socket on each thread.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use super::connection;
use super::journal;
use super::thread::{Admission, Thread};
use crate::metrics::counters::Global;

/// Connections taken from a socket in a row, before other tasks have their turn.
const BATCH: usize = 16;

/// How long to leave the queue alone when descriptors or memory ran out.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The listening sockets of a thread.
pub struct Doors {
    thread: Rc<Thread>,
    sockets: Vec<(u32, Rc<AsyncFd<OwnedFd>>)>,
    tasks: Vec<AbortHandle>,
}

impl Doors {
    pub fn new(thread: &Rc<Thread>, sockets: Vec<(u32, OwnedFd)>) -> io::Result<Self> {
        let watch = |(listener, socket)| -> io::Result<_> {
            let watched = crate::ipc::readiness::watch(socket, Interest::READABLE)?;
            Ok((listener, Rc::new(watched)))
        };
        let sockets = sockets.into_iter().map(watch).collect::<io::Result<_>>()?;
        Ok(Self {
            thread: thread.clone(),
            sockets,
            tasks: Vec::new(),
        })
    }

    /// Begins to accept.
    pub fn open(&mut self) {
        for (listener, socket) in &self.sockets {
            let task = accept(self.thread.clone(), *listener, socket.clone());
            self.tasks
                .push(tokio::task::spawn_local(task).abort_handle());
        }
    }

    /// Stops accepting. What waits in the sockets' queues is for the next generation.
    pub fn close(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.sockets.clear();
    }
}

async fn accept(thread: Rc<Thread>, listener: u32, socket: Rc<AsyncFd<OwnedFd>>) {
    loop {
        while !thread.has_room() {
            thread.left.notified().await;
        }
        let Ok(mut ready) = socket.readable().await else {
            return;
        };
        for _ in 0..BATCH {
            match ready.try_io(|socket| take(socket.get_ref())) {
                Err(_would_block) => break,
                Ok(Ok((client, peer))) => admit(&thread, listener, client, peer),
                Ok(Err(error)) if is_exhaustion(&error) => {
                    journal::cannot_accept(&error);
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    break;
                }
                // The client went away again, or its network did: accept(2).
                Ok(Err(_)) => {}
            }
            if !thread.has_room() {
                break;
            }
        }
        drop(ready);
        tokio::task::yield_now().await;
    }
}

fn admit(thread: &Rc<Thread>, listener: u32, client: OwnedFd, peer: Option<SocketAddr>) {
    thread.recorder.add(Global::ConnectionsAccepted, 1);
    let admission = Admission::new(thread);
    tokio::task::spawn_local(connection::serve(client, listener, peer, admission));
}

fn take(socket: &OwnedFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (client, peer) = rustix::net::acceptfrom_with(socket, flags)?;
    Ok((client, peer.and_then(internet_address)))
}

/// The address of an Internet client; a v4-mapped IPv6 address (RFC 4291 section 2.5.5.2) as IPv4.
fn internet_address(address: SocketAddrAny) -> Option<SocketAddr> {
    let address = SocketAddr::try_from(address).ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn is_exhaustion(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
