//! A connection whose answer may come from another program: the reload that it waits for may replace this one.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::SendFlags;
use tokio::io::Interest;

use super::routes;
use crate::core::report::ReloadReport;
use crate::core::takeover::descriptors::Number;
use crate::ipc::readiness;

const CLOSED: i32 = -1;
/// Who does not read its answer by then does not want it.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Who has asked nothing by then is not waited for.
pub(super) const ASKS_WITHIN: Duration = Duration::from_millis(300);

/// Connections that have asked something, or may be just about to.
static EXPECTANT: AtomicUsize = AtomicUsize::new(0);

/// The descriptor of a connection, as long as it is open.
#[derive(Clone)]
pub struct Presence(Arc<Connection>);

struct Connection {
    number: AtomicI32,
    asked: AtomicBool,
    expectant: AtomicBool,
    streaming: AtomicBool,
}

/// Ends the presence; to be dropped with the connection.
pub(super) struct Guard(Presence);

impl Presence {
    pub(super) fn of(connection: &impl AsFd) -> (Self, Guard) {
        let presence = Self(Arc::new(Connection {
            number: AtomicI32::new(connection.as_fd().as_raw_fd()),
            asked: AtomicBool::new(false),
            expectant: AtomicBool::new(false),
            streaming: AtomicBool::new(false),
        }));
        presence.expect(true);
        (presence.clone(), Guard(presence))
    }

    /// None: the client has gone.
    pub fn number(&self) -> Option<Number> {
        let number = self.0.number.load(Ordering::Relaxed);
        (number != CLOSED).then_some(Number(number))
    }

    pub(super) fn asks(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        self.expect(true);
    }

    pub(super) fn has_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Its answer goes on and on: nobody has to wait for its end.
    pub(super) fn streams(&self) {
        self.0.streaming.store(true, Ordering::Relaxed);
        self.expect(false);
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.0.streaming.load(Ordering::Relaxed)
    }

    /// [`ASKS_WITHIN`] is over.
    pub(super) fn is_late(&self) {
        if !self.has_asked() {
            self.expect(false);
        }
    }

    fn expect(&self, expectant: bool) {
        match (
            self.0.expectant.swap(expectant, Ordering::Relaxed),
            expectant,
        ) {
            (false, true) => EXPECTANT.fetch_add(1, Ordering::Relaxed),
            (true, false) => EXPECTANT.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// How many clients of the management API wait for an answer, or may be just about to ask.
pub fn expectant() -> usize {
    EXPECTANT.load(Ordering::Relaxed)
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.number.store(CLOSED, Ordering::Relaxed);
        self.0.expect(false);
    }
}

/// Answers a request for a reload that an earlier program took in.
pub fn answer(connection: OwnedFd, report: &ReloadReport) {
    let bytes = routes::reload_answer(report);
    tokio::task::spawn_local(async move {
        let sent = tokio::time::timeout(SEND_TIMEOUT, send(connection, &bytes)).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::debug!("who asked for the reload did not take the answer: {sent:?}");
        }
    });
}

async fn send(connection: OwnedFd, mut bytes: &[u8]) -> std::io::Result<()> {
    let socket = readiness::watch(connection, Interest::WRITABLE)?;
    while !bytes.is_empty() {
        let send = |socket: &OwnedFd| Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?);
        let sent = socket.async_io(Interest::WRITABLE, send).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::core::report::Details;

    #[test]
    fn a_presence_ends_with_its_connection() {
        let (stream, _other) = UnixStream::pair().unwrap();
        let (presence, guard) = Presence::of(&stream);
        assert_eq!(presence.number(), Some(Number(stream.as_raw_fd())));
        drop(guard);
        assert_eq!(presence.number(), None);
    }

    #[tokio::test]
    async fn an_answer_on_a_bare_connection_is_http() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let report = ReloadReport {
            success: true,
            version: 7,
            duration_ms: 1,
            message: "done".into(),
            details: Details::default(),
            cause: None,
        };
        let tasks = tokio::task::LocalSet::new();
        tasks
            .run_until(async { answer(ours.into(), &report) })
            .await;
        tasks.await;
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        assert!(serde_json::from_str::<ReloadReport>(body).is_ok());
    }
}
