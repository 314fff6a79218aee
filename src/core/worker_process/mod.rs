//! One worker process as the master sees it: started, spoken to, signalled, waited for.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};

use super::master::Input;
use super::sockets::Assigned;
use crate::config::types::Config;
use crate::ipc::channel::Channel;
use crate::ipc::counters_page::CountersPage;
use crate::ipc::inheritance;
use crate::ipc::message::{Assignment, FromWorker, Generation, ToWorker, WorkerId};
use crate::metrics::counters::page_words;

/// A worker that does not take a message within this time is broken.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// A worker whose channel ended should be gone by then.
const EXIT_GRACE: Duration = Duration::from_secs(1);
/// The first descriptor after the standard ones (sd_listen_fds(3)).
const FIRST_DESCRIPTOR: i32 = 3;

pub struct WorkerProcess {
    pub pid: u32,
    pub generation: Generation,
    pub spawned: Instant,
    pub page: CountersPage,
    /// Has said Hello in our protocol.
    pub greeted: bool,
    outbox: mpsc::UnboundedSender<Letter>,
    target: Target,
}

/// A process to send signals to.
#[derive(Clone)]
struct Target {
    pid: u32,
    /// False from the moment on at which its PID may belong to another process.
    alive: Rc<Cell<bool>>,
}

/// What goes to a worker, in this order.
enum Letter {
    Message(ToWorker, Vec<OwnedFd>),
    /// SIGTERM.
    Terminate,
}

/// What a worker is started with.
pub struct Launch<'a> {
    pub program: &'a Path,
    pub config: &'a Config,
    pub snapshot: &'a OwnedFd,
    pub sockets: &'a [Assigned],
    pub assignment: Assignment,
    pub inputs: &'a mpsc::Sender<Input>,
}

impl Launch<'_> {
    /// Starts the process; what it says and its end arrive as [`Input`]s. Needs a `LocalSet`.
    pub fn start(self) -> io::Result<WorkerProcess> {
        let (ours, theirs) = Channel::pair()?;
        let threads = self.config.performance.worker_threads as usize;
        let words = page_words(threads, self.config.sites.len());
        let (page, memory) = CountersPage::create(words)?;
        let channel = Channel::from_fd(ours)?;
        let command = self.command(vec![theirs, self.snapshot.try_clone()?, memory])?;
        let child = tokio::process::Command::from(command).spawn()?;
        let (outbox, messages) = mpsc::unbounded_channel();
        let (id, generation) = (self.assignment.worker, self.assignment.generation);
        // The receiver lives: it is in this function.
        let _ = outbox.send(Letter::Message(
            ToWorker::Assign(self.assignment),
            Vec::new(),
        ));
        let alive = Rc::new(Cell::new(true));
        let pid = child.id().unwrap_or_default();
        let (last_word, heard) = oneshot::channel();
        let inputs = self.inputs.clone();
        tokio::task::spawn_local(wait(id, child, alive.clone(), heard, inputs));
        let target = Target { pid, alive };
        let conversation = Conversation {
            worker: id,
            channel,
            target: target.clone(),
            inputs: self.inputs.clone(),
        };
        tokio::task::spawn_local(conversation.run(messages, last_word));
        let spawned = Instant::now();
        Ok(WorkerProcess {
            pid,
            generation,
            spawned,
            page,
            greeted: false,
            outbox,
            target,
        })
    }

    fn command(&self, mut descriptors: Vec<OwnedFd>) -> io::Result<Command> {
        let mut names = vec![
            inheritance::CONTROL,
            inheritance::CONFIG,
            inheritance::COUNTERS,
        ];
        for (socket, _) in self.sockets {
            descriptors.push(socket.try_clone()?);
            names.push(inheritance::LISTEN);
        }
        let mut command = Command::new(self.program);
        command
            .arg0(format!(
                "bws: worker (generation {})",
                self.assignment.generation.0
            ))
            .arg("--worker")
            .env("LISTEN_FDS", descriptors.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            // Memory that a connection no longer needs goes back to the system at once.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .stdin(Stdio::null());
        for name in [
            "LISTEN_PID",
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "WATCHDOG_PID",
        ] {
            command.env_remove(name);
        }
        let mappings = (FIRST_DESCRIPTOR..)
            .zip(descriptors)
            .map(|(child_fd, parent_fd)| FdMapping {
                parent_fd,
                child_fd,
            })
            .collect();
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        Ok(command)
    }
}

impl WorkerProcess {
    /// Messages arrive in order, or the worker is reported as broken.
    pub fn tell(&self, message: ToWorker) {
        self.hand(message, Vec::new());
    }

    /// Like [`Self::tell`], with descriptors beside it.
    pub fn hand(&self, message: ToWorker, descriptors: Vec<OwnedFd>) {
        let _ = self.outbox.send(Letter::Message(message, descriptors));
    }

    /// SIGTERM, after everything that it was told before.
    pub fn terminate(&self) {
        let _ = self.outbox.send(Letter::Terminate);
    }

    /// SIGKILL, at once.
    pub fn kill(&self) {
        self.target.signal(Signal::KILL);
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

async fn wait(
    worker: WorkerId,
    mut child: Child,
    alive: Rc<Cell<bool>>,
    heard: oneshot::Receiver<()>,
    inputs: mpsc::Sender<Input>,
) {
    let how = match child.wait().await {
        Ok(status) => describe(status),
        Err(error) => format!("cannot be waited for: {error}"),
    };
    alive.set(false);
    // What it said last may hold connections for the next generation.
    let _ = tokio::time::timeout(EXIT_GRACE, heard).await;
    let _ = inputs.send(Input::Gone { worker, how }).await;
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".into(),
    }
}

/// What is said between the master and one worker.
struct Conversation {
    worker: WorkerId,
    channel: Channel,
    target: Target,
    inputs: mpsc::Sender<Input>,
}

impl Conversation {
    /// Reads and writes independently of each other: two processes that both wait for the other to read would wait for
    /// ever. `heard` is dropped when the worker has said its last word.
    async fn run(self, letters: mpsc::UnboundedReceiver<Letter>, heard: oneshot::Sender<()>) {
        let reading = async {
            let reason = self.read().await;
            drop(heard);
            tokio::time::sleep(EXIT_GRACE).await;
            reason
        };
        let reason = tokio::select! {
            reason = reading => reason,
            reason = self.write(letters) => match reason {
                Some(reason) => reason,
                // The master has forgotten this worker.
                None => return,
            },
        };
        let worker = self.worker;
        let _ = self.inputs.send(Input::Broken { worker, reason }).await;
    }

    async fn read(&self) -> String {
        let worker = self.worker;
        loop {
            match self.channel.receive_with::<FromWorker>().await {
                Ok(Some((message, descriptors))) => {
                    let said = Input::Said {
                        worker,
                        message,
                        descriptors,
                    };
                    let _ = self.inputs.send(said).await;
                }
                Ok(None) => return "closed its control channel and did not exit".into(),
                Err(error) => return format!("sent what its master does not understand: {error}"),
            }
        }
    }

    async fn write(&self, mut letters: mpsc::UnboundedReceiver<Letter>) -> Option<String> {
        while let Some(letter) = letters.recv().await {
            if let Err(reason) = self.deliver(letter).await {
                return Some(reason);
            }
        }
        None
    }

    async fn deliver(&self, letter: Letter) -> Result<(), String> {
        let (message, descriptors) = match letter {
            Letter::Message(message, descriptors) => (message, descriptors),
            Letter::Terminate => {
                self.target.signal(Signal::TERM);
                return Ok(());
            }
        };
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let sent = self.channel.send_with(&message, &borrowed);
        match tokio::time::timeout(SEND_TIMEOUT, sent).await {
            Ok(Ok(())) => Ok(()),
            // `receive` sees the end, after what the worker said last.
            Ok(Err(error)) if is_gone(&error) => Ok(()),
            Ok(Err(error)) => Err(format!("takes no messages: {error}")),
            Err(_) => Err("does not read its control channel".into()),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
