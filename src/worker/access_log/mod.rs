//! The access log: one line for each response, when its last byte has left.
//!
//! - this file: a thread's buffer of lines
//! - `exchange`: a request with its response, followed to the end
//! - `line`: the formats
//! - `writer`: the thread that writes the file, so that a slow disk holds up nobody

mod exchange;
mod line;
mod writer;

pub use exchange::Exchange;
pub use writer::Writer;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::line::{Record, Stamp};
use crate::config::types::AccessLogFormat;
use crate::http::service::Connection;
use crate::metrics::counters::{Global, Recorder};

/// A buffer of this size is handed to the writer at once …
const FULL: usize = 64 * 1024;
/// … and any other one after this time.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// One thread's side of the access log.
pub struct AccessLog {
    format: AccessLogFormat,
    writer: Arc<Writer>,
    recorder: Recorder,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    stamp: Stamp,
}

impl AccessLog {
    pub fn new(format: AccessLogFormat, writer: Arc<Writer>, recorder: Recorder) -> Rc<Self> {
        Rc::new(Self {
            format,
            writer,
            recorder,
            state: RefCell::default(),
        })
    }

    /// A request that nobody could make out, and how it was answered.
    pub fn add_malformed(&self, connection: &Connection, status: u16) {
        self.add(&Record {
            at: SystemTime::now(),
            took: Duration::ZERO,
            client: connection.peer.map(|peer| peer.ip()),
            secure: connection.secure,
            site: None,
            host: None,
            request: None,
            status,
            sent: 0,
            referer: None,
            user_agent: None,
            user: None,
            request_id: None,
            client_subject: None,
        });
    }

    fn add(&self, record: &Record<'_>) {
        let mut state = self.state.borrow_mut();
        let State { buffer, stamp } = &mut *state;
        stamp.move_to(record.at);
        line::write(self.format, buffer, stamp, record);
        if buffer.len() >= FULL {
            let full = std::mem::replace(buffer, Vec::with_capacity(FULL + FULL / 8));
            self.writer.push(full);
        }
    }

    /// Hands over what there is, and counts what the writer had to drop.
    fn flush(&self) {
        let lines = std::mem::take(&mut self.state.borrow_mut().buffer);
        if !lines.is_empty() {
            self.writer.push(lines);
        }
        let lost = self.writer.take_lost();
        self.recorder.add(Global::AccessLogDropped, lost);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Flushes again and again, as long as the thread runs.
pub async fn keep_flushing(log: Rc<AccessLog>) {
    let mut interval = tokio::time::interval(FLUSH_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        log.flush();
    }
}
