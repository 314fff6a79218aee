//! A worker that this process had before it became another program: it stays our child, its channel and its counters
//! stay open.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Acquaintance, WorkerProcess, end};
use crate::core::master::Input;
use crate::core::takeover::descriptors::{self, Number};
use crate::core::takeover::moment;
use crate::ipc::channel::Channel;
use crate::ipc::message::{Generation, WorkerId};
use crate::ipc::shared_page::SharedPage;

/// What the next program needs to know of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub worker: WorkerId,
    pub generation: Generation,
    pid: u32,
    /// On the monotonic clock.
    spawned: Duration,
    greeted: bool,
    understands: bool,
    channel: Number,
    page: Option<Number>,
}

/// A worker to be found again.
pub struct Adopted<'a> {
    pub record: Record,
    /// Whether it speaks this program's language.
    pub same_language: bool,
    /// Whether it counts as this program does.
    pub same_counters: bool,
    pub inputs: &'a mpsc::Sender<Input>,
}

impl WorkerProcess {
    pub fn record(&self, worker: WorkerId) -> Record {
        let page = self.page.as_ref().map(|page| page.memory().as_raw_fd());
        Record {
            worker,
            generation: self.generation,
            pid: self.pid,
            spawned: moment::to_monotonic(self.spawned),
            greeted: self.greeted,
            understands: self.understands,
            channel: Number(self.channel.as_fd().as_raw_fd()),
            page: page.map(Number),
        }
    }
}

impl Record {
    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        std::iter::once(self.channel).chain(self.page)
    }
}

impl Adopted<'_> {
    /// Speaks on with it. Needs a `LocalSet`.
    pub fn meet(self) -> std::io::Result<WorkerProcess> {
        let record = self.record;
        let channel = Channel::from_fd(descriptors::claim(record.channel)?)?;
        let memory = record.page.map(descriptors::claim).transpose()?;
        let page = memory
            .filter(|_| self.same_counters)
            .map(SharedPage::reopen);
        let known = Acquaintance {
            worker: record.worker,
            generation: record.generation,
            pid: record.pid,
            spawned: moment::from_monotonic(record.spawned),
            page: page.transpose()?,
            channel,
            understands: record.understands && self.same_language,
        };
        let (mut process, target, heard) = WorkerProcess::meet(known, self.inputs);
        process.greeted = record.greeted;
        let inputs = self.inputs.clone();
        tokio::task::spawn_local(end::wait(record.worker, target, heard, inputs));
        Ok(process)
    }
}
