//! What is said between the master and one worker.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};

use super::Target;
use super::end::GRACE;
use crate::core::master::Input;
use crate::ipc::channel::Channel;
use crate::ipc::message::{FromWorker, ToWorker, WorkerId};

/// A worker that does not take a message within this time is broken.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Within this time after SIGTERM a worker whose words are not understood has stopped accepting.
const SILENT_STOP: Duration = Duration::from_millis(500);

/// What goes to a worker, in this order.
pub(super) enum Letter {
    Message(ToWorker, Vec<OwnedFd>),
    /// SIGTERM.
    Terminate,
}

pub(super) struct Conversation {
    pub(super) worker: WorkerId,
    pub(super) channel: Rc<Channel>,
    pub(super) target: Target,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) underway: Rc<Cell<usize>>,
    pub(super) understands: bool,
}

impl Conversation {
    /// Reads and writes independently of each other: two processes that both wait for the other to read would wait for
    /// ever. `heard` is dropped when the worker has said its last word.
    pub(super) async fn run(
        self,
        letters: mpsc::UnboundedReceiver<Letter>,
        heard: oneshot::Sender<()>,
    ) {
        let reading = async {
            let reason = match self.understands {
                true => self.read().await,
                false => self.await_end().await,
            };
            drop(heard);
            tokio::time::sleep(GRACE).await;
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
        loop {
            match self.channel.receive_with::<FromWorker>().await {
                Ok(Some((message, descriptors))) => self.report(message, descriptors).await,
                Ok(None) => return "closed its control channel and did not exit".into(),
                Err(error) => return format!("sent what its master does not understand: {error}"),
            }
        }
    }

    async fn report(&self, message: FromWorker, descriptors: Vec<OwnedFd>) {
        let worker = self.worker;
        self.count(1);
        let said = Input::Said {
            worker,
            message,
            descriptors,
        };
        let _ = self.inputs.send(said).await;
        self.count(-1);
    }

    fn count(&self, change: isize) {
        self.underway
            .set(self.underway.get().saturating_add_signed(change));
    }

    async fn await_end(&self) -> String {
        match self.channel.closed().await {
            Ok(()) => "closed its control channel and did not exit".into(),
            Err(error) => format!("has a broken control channel: {error}"),
        }
    }

    async fn write(&self, mut letters: mpsc::UnboundedReceiver<Letter>) -> Option<String> {
        while let Some(letter) = letters.recv().await {
            let delivered = match self.understands {
                true => self.deliver(letter).await,
                false => self.signal(letter).await,
            };
            self.count(-1);
            if let Err(reason) = delivered {
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

    /// A worker of another language is driven by signal alone: SIGTERM makes every version stop accepting and drain.
    async fn signal(&self, letter: Letter) -> Result<(), String> {
        match letter {
            Letter::Message(ToWorker::StopAccepting, _) => {
                self.target.signal(Signal::TERM);
                tokio::time::sleep(SILENT_STOP).await;
                self.report(FromWorker::StoppedAccepting, Vec::new()).await;
                Ok(())
            }
            Letter::Message(ToWorker::Accept, _) => {
                Err("is of another version and had not begun to accept".into())
            }
            // Its heart cannot be heard; its end will be.
            Letter::Message(ToWorker::Ping { sequence }, _) => {
                self.report(FromWorker::Pong { sequence }, Vec::new()).await;
                Ok(())
            }
            Letter::Message(..) => Ok(()),
            Letter::Terminate => {
                self.target.signal(Signal::TERM);
                Ok(())
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[tokio::test]
    async fn a_worker_of_another_language_is_driven_by_signals() {
        let mut child = tokio::process::Command::new("sleep")
            .arg("60")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (ours, _theirs) = Channel::pair().unwrap();
        let (inputs, mut heard) = mpsc::channel(8);
        let conversation = Conversation {
            worker: WorkerId(1),
            channel: Rc::new(Channel::from_fd(ours).unwrap()),
            target: Target {
                pid: child.id().unwrap(),
                alive: Rc::new(Cell::new(true)),
            },
            inputs,
            underway: Rc::default(),
            understands: false,
        };
        let (outbox, letters) = mpsc::unbounded_channel();
        for message in [ToWorker::Ping { sequence: 7 }, ToWorker::StopAccepting] {
            outbox.send(Letter::Message(message, Vec::new())).ok();
        }
        let (last_word, _) = oneshot::channel();
        let answers = async {
            for expected in [
                FromWorker::Pong { sequence: 7 },
                FromWorker::StoppedAccepting,
            ] {
                let Some(Input::Said { message, .. }) = heard.recv().await else {
                    panic!("it is not broken");
                };
                assert_eq!(message, expected);
            }
        };
        tokio::select! {
            () = conversation.run(letters, last_word) => panic!("the conversation goes on"),
            () = answers => {}
        }
        let status = child.wait().await.unwrap();
        assert_eq!(status.signal(), Some(libc::SIGTERM));
    }
}
