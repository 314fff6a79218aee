//! One worker process as the master sees it: started, spoken to, signalled, waited for.
//!
//! - `launch`: a new one; `spawn`: how its process begins
//! - `adoption`: one that the master had before it became another program
//! - `conversation`: what is said over its control channel
//! - `end`: its exit

mod adoption;
mod conversation;
mod end;
mod launch;
mod spawn;

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{mpsc, oneshot};

pub use self::adoption::{Adopted, Record};
pub use self::launch::{Equipment, Launch, Spare};

use self::conversation::{Conversation, Letter};
use super::journal::Named;
use super::master::Input;
use crate::ipc::channel::Channel;
use crate::ipc::message::{Generation, ToWorker, WorkerId};
use crate::ipc::shared_page::SharedPage;
use crate::metrics::counters::Global;
use crate::metrics::totals::gauge;

pub struct WorkerProcess {
    pub pid: u32,
    pub generation: Generation,
    pub spawned: Instant,
    /// None: another version counts in a way that this one does not know.
    pub page: Option<SharedPage>,
    /// Has said Hello in our protocol.
    pub greeted: bool,
    channel: Rc<Channel>,
    outbox: mpsc::UnboundedSender<Letter>,
    target: Target,
    /// Letters not yet delivered, and what it said that the master has not yet taken in.
    underway: Rc<Cell<usize>>,
    /// Whether it understands what this master says.
    understands: bool,
}

/// A process to send signals to.
#[derive(Clone)]
struct Target {
    pid: u32,
    /// False from the moment on at which its PID may belong to another process.
    alive: Rc<Cell<bool>>,
}

/// What is known of a process with which a conversation begins.
struct Acquaintance {
    worker: WorkerId,
    generation: Generation,
    pid: u32,
    spawned: Instant,
    page: Option<SharedPage>,
    channel: Channel,
    understands: bool,
}

impl WorkerProcess {
    /// Begins to speak with a process. The sender is to be dropped by whoever waits for its end, see [`end`].
    fn meet(
        known: Acquaintance,
        inputs: &mpsc::Sender<Input>,
    ) -> (Self, Target, oneshot::Receiver<()>) {
        let (outbox, letters) = mpsc::unbounded_channel();
        let (last_word, heard) = oneshot::channel();
        let target = Target {
            pid: known.pid,
            alive: Rc::new(Cell::new(true)),
        };
        let (channel, underway) = (Rc::new(known.channel), Rc::new(Cell::new(0)));
        let conversation = Conversation {
            worker: known.worker,
            channel: channel.clone(),
            target: target.clone(),
            inputs: inputs.clone(),
            underway: underway.clone(),
            understands: known.understands,
        };
        tokio::task::spawn_local(conversation.run(letters, last_word));
        let process = Self {
            pid: known.pid,
            generation: known.generation,
            spawned: known.spawned,
            page: known.page,
            greeted: false,
            channel,
            outbox,
            target: target.clone(),
            underway,
            understands: known.understands,
        };
        (process, target, heard)
    }

    pub fn named(&self) -> Named {
        Named {
            pid: self.pid,
            generation: self.generation,
        }
    }

    /// A gauge of it; zero when its counters are not known.
    pub fn gauge(&self, sites: usize, word: Global) -> u64 {
        let page = self.page.as_ref();
        page.map_or(0, |page| gauge(page.words(), sites, word))
    }

    /// Messages arrive in order, or the worker is reported as broken.
    pub fn tell(&self, message: ToWorker) {
        self.hand(message, Vec::new());
    }

    /// Like [`Self::tell`], with descriptors beside it.
    pub fn hand(&self, message: ToWorker, descriptors: Vec<OwnedFd>) {
        self.post(Letter::Message(message, descriptors));
    }

    /// SIGTERM, after everything that it was told before.
    pub fn terminate(&self) {
        self.post(Letter::Terminate);
    }

    fn post(&self, letter: Letter) {
        if self.outbox.send(letter).is_ok() {
            self.underway.set(self.underway.get() + 1);
        }
    }

    /// SIGKILL, at once.
    pub fn kill(&self) {
        self.target.signal(Signal::KILL);
    }

    /// Whether nothing is between the two processes but what the kernel keeps.
    pub fn is_quiet(&self) -> bool {
        self.underway.get() == 0 || self.outbox.is_closed()
    }
}

impl Target {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.alive.get()) {
            let _ = kill_process(pid, signal);
        }
    }
}
