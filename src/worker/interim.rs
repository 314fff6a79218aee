//! Interim responses on an HTTP/1 connection. hyper has no way to write any, so they go past it, into the stream below.
//!
//! Where may they stand? hyper's responses follow one another, and a request is handed out when the response before it is
//! in hyper's buffer to its last byte. hyper flushes its stream only when that buffer is empty, and between two flushes
//! it does not come from the end of one response to the handler of the next request without a write (`proto/h1`:
//! `Dispatcher::poll_loop` flushes after every turn, and `Conn::try_keep_alive` follows a flush, or the read of the turn
//! after). So, in the handler of a request:
//!
//! - nothing was written since the last flush: whatever hyper has buffered belongs to this request, an interim response
//!   may go before it;
//! - something was written: the end of the response before may be among it. An interim response waits for the next
//!   flush, and when the final response overtakes it, is dropped.

use std::cell::{Cell, RefCell};
use std::io;
use std::task::{Poll, ready};

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, StatusCode};

use super::activity::Activity;
use crate::http::interim::Interim;

/// Interim responses that have not left.
#[derive(Default)]
pub struct Outbox {
    bytes: RefCell<BytesMut>,
    /// How many of them go before anything of hyper's; they are whole responses, but for what left of the first.
    due: Cell<usize>,
    /// hyper wrote something since it flushed.
    written: Cell<bool>,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.bytes.borrow().is_empty()
    }

    fn push(&self, status: StatusCode, headers: &HeaderMap) {
        let mut bytes = self.bytes.borrow_mut();
        write_head(&mut bytes, status, headers);
        if !self.written.get() {
            self.due.set(bytes.len());
        }
    }

    /// hyper writes: what is not due by now comes after it.
    pub fn note_write(&self) {
        self.written.set(true);
    }

    /// hyper flushes: its buffer is empty.
    pub fn note_flush(&self) {
        if self.written.replace(false) {
            self.due.set(self.bytes.borrow().len());
        }
    }

    /// The final response is there. Before it goes what is due, and nothing after it.
    pub fn close(&self) {
        let mut bytes = self.bytes.borrow_mut();
        if bytes.len() > self.due.get() {
            bytes.truncate(self.due.get());
        }
    }

    /// Whether something has to leave before hyper may write.
    pub fn is_due(&self) -> bool {
        self.due.get() > 0
    }

    /// Hands what is due to `write`; ready when all of it has left.
    pub fn poll_leave(
        &self,
        mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = self.bytes.borrow_mut();
        while self.is_due() {
            let count = ready!(write(&bytes[..self.due.get()]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            bytes.advance(count);
            self.due.set(self.due.get() - count);
        }
        if bytes.is_empty() {
            *bytes = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl Interim for Activity {
    fn send(&self, status: StatusCode, headers: HeaderMap) {
        self.interim.push(status, &headers);
        // Mostly hyper flushes in this very turn; not where the handler was asked in between.
        self.wake();
    }
}

/// RFC 9112 section 4.
fn write_head(bytes: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    let reason = status.canonical_reason().unwrap_or_default();
    let line = ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"];
    line.iter()
        .for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    for (name, value) in headers {
        let field: [&[u8]; 4] = [name.as_ref(), b": ", value.as_bytes(), b"\r\n"];
        field.iter().for_each(|part| bytes.extend_from_slice(part));
    }
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
