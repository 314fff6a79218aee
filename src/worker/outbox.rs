//! What a worker has to say to its master.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::ipc::channel::Channel;
use crate::ipc::message::{FromWorker, Generation};
use crate::systemd::events::told;

/// How long the master may take to read what a worker said before it left.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Writes to the master beside the loop, which goes on reading: two processes that both wait for the other to read would
/// wait for ever.
pub(super) struct Outbox {
    letters: mpsc::UnboundedSender<(FromWorker, Vec<OwnedFd>)>,
    writer: JoinHandle<()>,
}

impl Outbox {
    pub(super) fn new(channel: &Arc<Channel>) -> Self {
        let (letters, mut queue) = mpsc::unbounded_channel::<(FromWorker, Vec<OwnedFd>)>();
        let channel = channel.clone();
        let writer = tokio::spawn(async move {
            while let Some((message, descriptors)) = queue.recv().await {
                let borrowed: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
                // When the master is gone, receive finds out.
                let _ = channel.send_with(&message, &borrowed).await;
            }
        });
        Self { letters, writer }
    }

    pub(super) fn send(&self, message: FromWorker, descriptors: Vec<OwnedFd>) {
        let _ = self.letters.send((message, descriptors));
    }

    /// From now on the master hears of the events that this worker tells.
    pub(super) fn pass_events_on(&self, generation: Generation) {
        // Held weakly: `finish` waits for the last one who may send.
        let letters = self.letters.downgrade();
        let (pid, generation) = (std::process::id(), generation.0);
        told::listen(move |told| {
            let who = [
                ("BWS_WORKER_PID", (&pid).into()),
                ("BWS_GENERATION", (&generation).into()),
            ];
            let (event, record) = (told.event.name.to_owned(), told.record(&who));
            if let Some(letters) = letters.upgrade() {
                let _ = letters.send((FromWorker::Told { event, record }, Vec::new()));
            }
        });
    }

    /// Waits until everything is written.
    pub(super) async fn finish(self) {
        drop(self.letters);
        let _ = tokio::time::timeout(LAST_WORDS, self.writer).await;
    }
}
