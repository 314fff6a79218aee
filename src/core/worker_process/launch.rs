//! A new worker process. One may be started while its configuration is still being read: it waits for its assignment.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::fstat;
use tokio::sync::mpsc;

use super::spawn::Start;
use super::{Acquaintance, WorkerProcess, end};
use crate::core::master::Input;
use crate::core::sockets::Assigned;
use crate::ipc::channel::Channel;
use crate::ipc::inheritance;
use crate::ipc::message::{Assignment, Generation, ToWorker};
use crate::ipc::shared_page::{self, SharedPage};
use crate::metrics::counters::page_words;

/// How a worker's allocator is to behave. Memory that nobody needed for so many milliseconds goes back to the system (when
/// the worker's sweep says so): what goes back at once is needed again at once, and has to be cleared by the kernel.
/// Huge pages cost a new worker more time than they save, for the same reason.
const MEMORY: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "200"), ("MIMALLOC_ALLOW_THP", "0")];

/// What every worker is started with.
pub struct Equipment<'a> {
    pub program: &'a Path,
    pub generation: Generation,
    /// Of the configuration, as far as it is known.
    pub sites: usize,
    /// A sealed snapshot or one that is to be.
    pub snapshot: &'a OwnedFd,
    pub lasting: &'a SharedPage,
    pub sockets: &'a [Assigned],
}

/// What it learns then.
pub struct Launch<'a> {
    pub equipment: Equipment<'a>,
    /// Of the worker.
    pub threads: usize,
    pub assignment: Assignment,
    pub inputs: &'a mpsc::Sender<Input>,
}

/// A worker process that has not learned yet what it is for.
pub struct Spare {
    program: PathBuf,
    generation: Generation,
    snapshot: OwnedFd,
    sockets: Vec<Assigned>,
    newborn: Newborn,
}

/// A process that waits for its assignment.
struct Newborn {
    pid: u32,
    channel: OwnedFd,
    counters: OwnedFd,
}

impl Equipment<'_> {
    /// Starts a process before its configuration is known.
    pub fn spare(&self) -> io::Result<Spare> {
        Ok(Spare {
            program: self.program.to_owned(),
            generation: self.generation,
            snapshot: self.snapshot.try_clone()?,
            sockets: self.sockets.to_vec(),
            newborn: self.bear()?,
        })
    }

    fn bear(&self) -> io::Result<Newborn> {
        let (ours, theirs) = Channel::pair()?;
        let counters = shared_page::blank("bws-counters")?;
        let start = Start {
            program: self.program,
            title: format!("bws: worker (generation {})", self.generation.0),
            descriptors: self.descriptors(theirs.as_fd(), counters.as_fd()),
            environment: &MEMORY,
        };
        Ok(Newborn {
            pid: start.spawn()?,
            channel: ours,
            counters,
        })
    }

    fn descriptors<'d>(
        &'d self,
        control: BorrowedFd<'d>,
        counters: BorrowedFd<'d>,
    ) -> Vec<(&'static str, BorrowedFd<'d>)> {
        let mut descriptors = vec![
            (inheritance::CONTROL, control),
            (inheritance::CONFIG, self.snapshot.as_fd()),
            (inheritance::COUNTERS, counters),
            (inheritance::LASTING, self.lasting.memory()),
        ];
        let sockets = self.sockets.iter();
        descriptors.extend(sockets.map(|(socket, _)| (inheritance::LISTEN, socket.as_fd())));
        descriptors
    }
}

impl Launch<'_> {
    /// Starts the process, or takes `spare` if that is the same; what it says and its end arrive as [`Input`]s. Needs a
    /// `LocalSet`.
    pub fn start(self, spare: Option<Spare>) -> io::Result<WorkerProcess> {
        let spawned = Instant::now();
        let newborn = match spare {
            Some(spare) if spare.suits(&self.equipment) => spare.newborn,
            Some(spare) => {
                spare.dismiss();
                self.equipment.bear()?
            }
            None => self.equipment.bear()?,
        };
        let words = page_words(self.threads, self.equipment.sites);
        let page = SharedPage::shape(newborn.counters, words);
        let channel = Channel::from_fd(newborn.channel);
        let (page, channel) = page
            .and_then(|page| Ok((page, channel?)))
            .inspect_err(|_| {
                end::dismiss(newborn.pid);
            })?;
        let worker = self.assignment.worker;
        let known = Acquaintance {
            worker,
            generation: self.equipment.generation,
            pid: newborn.pid,
            spawned,
            page: Some(page),
            channel,
            understands: true,
        };
        let (process, target, heard) = WorkerProcess::meet(known, self.inputs);
        process.tell(ToWorker::Assign(self.assignment));
        let inputs = self.inputs.clone();
        tokio::task::spawn_local(end::wait(worker, target, heard, inputs));
        Ok(process)
    }
}

impl Spare {
    /// Whether [`Equipment::bear`] would start the same.
    fn suits(&self, equipment: &Equipment<'_>) -> bool {
        let mine = self.sockets.iter().map(|(socket, _)| socket);
        let wanted = equipment.sockets.iter().map(|(socket, _)| socket);
        self.program == equipment.program
            && self.generation == equipment.generation
            && is_same(&self.snapshot, equipment.snapshot)
            && self.sockets.len() == equipment.sockets.len()
            && mine.zip(wanted).all(|(mine, wanted)| is_same(mine, wanted))
    }

    /// Nobody needs it. Needs a `LocalSet`.
    pub fn dismiss(self) {
        end::dismiss(self.newborn.pid);
    }
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |descriptor| {
        fstat(descriptor)
            .map(|found| (found.st_dev, found.st_ino))
            .ok()
    };
    identity(one).is_some() && identity(one) == identity(other)
}
