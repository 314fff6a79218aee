//! Connections that wait for their client: a descriptor and a few dozen bytes each, in an epoll set of their own.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::RecvFlags;
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::activity::Ticks;
use super::connection;
use super::thread::{Admission, Departure, Report, Thread};
use crate::ipc::message::Travelling;
use crate::metrics::counters::Global;

/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// Bytes thrown away at once from a connection that is closing.
const DISCARD: usize = 32 * 1024;

/// Why a connection is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Between requests; or before the first one, when nothing was served yet.
    Idle { served: bool },
    /// We said our last word and sent FIN: read until the client has closed too, so that no RST overtakes our answer
    /// (RFC 9112 section 9.6), but no more than so many bytes.
    Lingering { most: u32 },
}

/// A parked connection.
pub struct Entry {
    pub socket: Socket,
    pub listener: u32,
    pub peer: Option<SocketAddr>,
    pub reason: Reason,
    pub since: Ticks,
    pub admission: Admission,
}

/// A stream socket without any user-space state.
pub enum Socket {
    Tcp(OwnedFd),
    Unix(OwnedFd),
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// The parked connections of a thread.
pub struct Parked {
    /// The epoll set, itself watched by the runtime.
    epoll: AsyncFd<OwnedFd>,
    entries: RefCell<Slab<Entry>>,
    idle: Cell<usize>,
}

impl Parked {
    pub fn new() -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let epoll = crate::ipc::readiness::watch(set, Interest::READABLE)?;
        Ok(Self {
            epoll,
            entries: RefCell::default(),
            idle: Cell::new(0),
        })
    }

    /// Takes a connection in. When the kernel refuses to watch it, it is closed.
    pub fn insert(&self, entry: Entry) {
        let mut entries = self.entries.borrow_mut();
        let vacancy = entries.vacant_entry();
        let data = EventData::new_u64(vacancy.key() as u64);
        let interest = EventFlags::IN | EventFlags::RDHUP;
        if epoll::add(self.epoll.get_ref(), &entry.socket, data, interest).is_err() {
            return;
        }
        self.count(&entry, 1);
        vacancy.insert(entry);
    }

    fn count(&self, entry: &Entry, change: isize) {
        if matches!(entry.reason, Reason::Idle { .. }) {
            self.idle.set(self.idle.get().wrapping_add_signed(change));
            let recorder = &entry.admission.thread().recorder;
            match change {
                1 => recorder.add(Global::ConnectionsParked, 1),
                _ => recorder.subtract(Global::ConnectionsParked, 1),
            }
        }
    }

    fn remove(&self, key: usize) -> Option<Entry> {
        let entry = self.entries.borrow_mut().try_remove(key)?;
        // It can only fail for a socket that is not in the set.
        let _ = epoll::delete(self.epoll.get_ref(), &entry.socket);
        self.count(&entry, -1);
        Some(entry)
    }

    /// Closes every connection that `expired` says so of.
    pub fn close_those(&self, expired: impl Fn(usize, &Entry) -> bool) {
        let keys: Vec<usize> = {
            let entries = self.entries.borrow();
            entries
                .iter()
                .filter(|(key, entry)| expired(*key, entry))
                .map(|(key, _)| key)
                .collect()
        };
        for key in keys {
            let Some(entry) = self.remove(key) else {
                continue;
            };
            // A request may have come in this very moment: then it is served.
            match entry.reason {
                Reason::Idle { .. } if peek(&entry.socket) == Peeked::Bytes => wake(entry),
                _ => drop(entry),
            }
        }
    }

    /// Takes every idle connection out.
    pub fn take_idle(&self) -> Vec<Entry> {
        let keys: Vec<usize> = self.entries.borrow().iter().map(|(key, _)| key).collect();
        let idle = |key: &usize| {
            let entries = self.entries.borrow();
            entries
                .get(*key)
                .is_some_and(|entry| matches!(entry.reason, Reason::Idle { .. }))
        };
        keys.into_iter()
            .filter(idle)
            .filter_map(|key| self.remove(key))
            .collect()
    }

    fn ready(&self) -> io::Result<Vec<(usize, EventFlags)>> {
        let mut events = Vec::with_capacity(EVENTS);
        let now = Timespec::default();
        let space = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(self.epoll.get_ref(), space, Some(&now))?;
        Ok(events
            .iter()
            .map(|event| (event.data.u64() as usize, event.flags))
            .collect())
    }
}

/// Puts a connection to rest: here, or in the next generation when this one drains.
pub fn rest(entry: Entry) {
    let thread = entry.admission.thread().clone();
    let way_out = thread.way_out.borrow();
    match (&*way_out, entry.reason) {
        (Some(way_out), Reason::Idle { served }) => {
            let listener = &thread.process.config.listeners[entry.listener as usize];
            let Entry { socket, peer, .. } = entry;
            let connection = Travelling {
                listener: listener.address.clone(),
                peer,
                served,
            };
            let (Socket::Tcp(socket) | Socket::Unix(socket)) = socket;
            let connections = vec![Departure { connection, socket }];
            // Nobody listens only when the process ends.
            let _ = way_out.send(Report::HandOver { connections });
        }
        _ => thread.parked.insert(entry),
    }
}

/// Wakes parked connections when their clients speak.
pub async fn watch(thread: Rc<Thread>) {
    loop {
        let Ok(mut readable) = thread.parked.epoll.readable().await else {
            return;
        };
        let events = thread.parked.ready().unwrap_or_default();
        if events.len() < EVENTS {
            readable.clear_ready();
        }
        for (key, flags) in events {
            handle(&thread, key, flags);
        }
        tokio::task::yield_now().await;
    }
}

fn handle(thread: &Rc<Thread>, key: usize, flags: EventFlags) {
    let reason = thread
        .parked
        .entries
        .borrow()
        .get(key)
        .map(|entry| entry.reason);
    let finished = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
    match reason {
        None => {}
        Some(Reason::Lingering { most }) => {
            let mut entries = thread.parked.entries.borrow_mut();
            let left = entries.get_mut(key).and_then(|entry| {
                let most = most.checked_sub(discard(&entry.socket)?)?;
                entry.reason = Reason::Lingering { most };
                Some(most)
            });
            drop(entries);
            if left.is_none() {
                thread.parked.remove(key);
            }
        }
        Some(Reason::Idle { .. }) => {
            let Some(entry) = thread.parked.remove(key) else {
                return;
            };
            if flags.intersects(finished) && peek(&entry.socket) != Peeked::Bytes {
                return;
            }
            wake(entry);
        }
    }
}

fn wake(entry: Entry) {
    tokio::task::spawn_local(connection::resume(entry));
}

/// Reads what a closing client still sends, and tells how many bytes; None when it has closed.
fn discard(socket: &Socket) -> Option<u32> {
    let mut space = [0; DISCARD];
    // TCP does not copy what is only to be taken off its queue (tcp(7), MSG_TRUNC).
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    match rustix::net::recv(socket, &mut space, flags) {
        Ok((count, _)) => (count > 0).then_some(count as u32),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Some(0),
        Err(_) => None,
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Peeked {
    Bytes,
    Nothing,
    Closed,
}

/// What waits in a socket's receive queue.
pub fn peek(socket: &Socket) -> Peeked {
    let mut space = [0; 1];
    match rustix::net::recv(socket, &mut space, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((0, _)) => Peeked::Closed,
        Ok(_) => Peeked::Bytes,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Peeked::Nothing,
        Err(_) => Peeked::Closed,
    }
}
