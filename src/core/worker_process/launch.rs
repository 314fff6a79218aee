//! A new worker process.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::sync::mpsc;

use super::end::{self, Offspring};
use super::{Acquaintance, WorkerProcess};
use crate::core::master::Input;
use crate::core::sockets::Assigned;
use crate::core::takeover;
use crate::ipc::channel::Channel;
use crate::ipc::inheritance;
use crate::ipc::message::{Assignment, ToWorker};
use crate::ipc::shared_page::SharedPage;
use crate::metrics::counters::page_words;

/// The first descriptor after the standard ones (sd_listen_fds(3)).
const FIRST_DESCRIPTOR: i32 = 3;
/// What of the master's environment is no worker's business.
const MASTERS_OWN: [&str; 5] = [
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    takeover::VARIABLE,
];

/// What a worker is started with.
pub struct Launch<'a> {
    pub program: &'a Path,
    /// Of the configuration: threads of the worker, and sites.
    pub threads: usize,
    pub sites: usize,
    pub snapshot: &'a OwnedFd,
    pub lasting: &'a SharedPage,
    pub sockets: &'a [Assigned],
    pub assignment: Assignment,
    pub inputs: &'a mpsc::Sender<Input>,
}

impl Launch<'_> {
    /// Starts the process; what it says and its end arrive as [`Input`]s. Needs a `LocalSet`.
    pub fn start(self) -> io::Result<WorkerProcess> {
        let (ours, theirs) = Channel::pair()?;
        let words = page_words(self.threads, self.sites);
        let page = SharedPage::create("bws-counters", words)?;
        let channel = Channel::from_fd(ours)?;
        let command = self.command(vec![
            theirs,
            self.snapshot.try_clone()?,
            page.for_worker()?,
            self.lasting.for_worker()?,
        ])?;
        let child = tokio::process::Command::from(command).spawn()?;
        let worker = self.assignment.worker;
        let known = Acquaintance {
            worker,
            generation: self.assignment.generation,
            pid: child.id().unwrap_or_default(),
            spawned: Instant::now(),
            page: Some(page),
            channel,
            understands: true,
        };
        let (process, target, heard) = WorkerProcess::meet(known, self.inputs);
        process.tell(ToWorker::Assign(self.assignment));
        let offspring = Offspring::Started(child);
        let inputs = self.inputs.clone();
        tokio::task::spawn_local(end::wait(worker, offspring, target, heard, inputs));
        Ok(process)
    }

    fn command(&self, mut descriptors: Vec<OwnedFd>) -> io::Result<Command> {
        let mut names = vec![
            inheritance::CONTROL,
            inheritance::CONFIG,
            inheritance::COUNTERS,
            inheritance::LASTING,
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
        for name in MASTERS_OWN {
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
