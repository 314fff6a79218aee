//! Plays systemd's end of NOTIFY_SOCKET: keeps every message, in order, and the file descriptor store.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::wait_for;

const END: &str = "the recorder ends";
/// Goes behind what was sent before.
const BARRIER: &str = "as far as here";

/// What is kept under a name.
type Store = BTreeMap<String, OwnedFd>;

pub struct Recorder {
    path: PathBuf,
    messages: Arc<Mutex<Vec<String>>>,
    store: Arc<Mutex<Store>>,
    barriers: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("notify.sock");
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("the test's folder takes a socket");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = messages.clone();
        let store = Arc::new(Mutex::new(Store::new()));
        let stored = store.clone();
        let barriers = Arc::new(AtomicUsize::new(0));
        let passed = barriers.clone();
        // A thread, as few datagrams find room in the socket while nobody reads.
        let thread = std::thread::spawn(move || {
            while let Ok((text, descriptors)) = receive(&socket) {
                if text == END {
                    break;
                }
                if text == BARRIER {
                    passed.fetch_add(1, Ordering::Release);
                    continue;
                }
                let mut stored = stored.lock().expect("no panic while locked");
                remember(&mut stored, &text, descriptors);
                kept.lock().expect("no panic while locked").push(text);
            }
        });
        Self {
            path,
            messages,
            store,
            barriers,
            thread: Some(thread),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that was sent before this call.
    pub fn messages(&self) -> Vec<String> {
        let before = self.barriers.load(Ordering::Acquire);
        let asks = UnixDatagram::unbound().expect("a socket can be made");
        asks.send_to(BARRIER.as_bytes(), &self.path)
            .expect("the recorder listens");
        wait_for("what was sent before", || {
            (self.barriers.load(Ordering::Acquire) > before).then_some(())
        });
        self.messages.lock().expect("no panic while locked").clone()
    }

    /// The names in the store.
    pub fn stored(&self) -> Vec<String> {
        let store = self.store.lock().expect("no panic while locked");
        store.keys().cloned().collect()
    }

    /// Everything in the store, for the next start.
    pub fn take_store(&self) -> Vec<(OwnedFd, String)> {
        let mut store = self.store.lock().expect("no panic while locked");
        let store = std::mem::take(&mut *store).into_iter();
        store.map(|(name, descriptor)| (descriptor, name)).collect()
    }

    /// The states in order: `READY=1`, `RELOADING=1`, `STOPPING=1`; other lines are left out.
    pub fn states(&self) -> Vec<String> {
        let is_state = |line: &&str| {
            ["READY=", "RELOADING=", "STOPPING="]
                .iter()
                .any(|state| line.starts_with(state))
        };
        let messages = self.messages();
        messages
            .iter()
            .flat_map(|text| text.lines())
            .filter(is_state)
            .map(String::from)
            .collect()
    }

    /// Waits until `READY=1` was said so many times.
    pub fn wait_ready(&self, times: usize) {
        let ready = || {
            self.states()
                .iter()
                .filter(|state| *state == "READY=1")
                .count()
                >= times
        };
        wait_for("READY=1", || ready().then_some(()));
    }
}

fn receive(socket: &UnixDatagram) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut buffer = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let length = rustix::net::recvmsg(socket, &mut slices, &mut ancillary, flags)?.bytes;
    let mut descriptors = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    Ok((
        String::from_utf8_lossy(&buffer[..length]).into_owned(),
        descriptors,
    ))
}

/// FDSTORE=1 and FDSTOREREMOVE=1, sd_pid_notify_with_fds(3).
fn remember(store: &mut Store, text: &str, descriptors: Vec<OwnedFd>) {
    let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
    let name = name.unwrap_or("stored").to_owned();
    if text.lines().any(|line| line == "FDSTOREREMOVE=1") {
        store.remove(&name);
    } else if text.lines().any(|line| line == "FDSTORE=1") {
        store.extend(descriptors.into_iter().map(|one| (name.clone(), one)));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let told =
            UnixDatagram::unbound().and_then(|socket| socket.send_to(END.as_bytes(), &self.path));
        if let (Ok(_), Some(thread)) = (told, self.thread.take()) {
            let _ = thread.join();
        }
    }
}
