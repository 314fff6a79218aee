//! Plays systemd's end of NOTIFY_SOCKET and keeps every message, in order.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::wait_for;

const END: &[u8] = b"the recorder ends";

pub struct Recorder {
    path: PathBuf,
    messages: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("notify.sock");
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("the test's folder takes a socket");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = messages.clone();
        // A thread, as few datagrams find room in the socket while nobody reads.
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                if &buffer[..length] == END {
                    break;
                }
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                kept.lock().expect("no panic while locked").push(text);
            }
        });
        Self {
            path,
            messages,
            thread: Some(thread),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().expect("no panic while locked").clone()
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

impl Drop for Recorder {
    fn drop(&mut self) {
        let told = UnixDatagram::unbound().and_then(|socket| socket.send_to(END, &self.path));
        if let (Ok(_), Some(thread)) = (told, self.thread.take()) {
            let _ = thread.join();
        }
    }
}
