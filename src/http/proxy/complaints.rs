//! What operators are told of upstreams that do not speak as they should, of each once in a while.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::http1::{Broken, Fault};
use super::http2::Ended;
use super::server::Server;

/// The same is not said again before.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Who was spoken of, and when; all threads of a worker share it.
#[derive(Default)]
pub(super) struct Complaints {
    told: Mutex<HashMap<String, Instant>>,
}

impl Complaints {
    /// Whether `server` is to be spoken of, which then counts as done.
    pub(super) fn is_due(&self, server: &str) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |at: &Instant| now.duration_since(*at) >= REPEAT_AFTER;
        let due = told.get(server).is_none_or(is_over);
        if due {
            told.insert(server.to_owned(), now);
        }
        due
    }
}

/// Tells what was wrong with the answer of `server`, if that was its own fault.
pub(super) fn tell(server: &Server, broken: &Broken) {
    match broken {
        Broken::Unsound(error) if error.is::<Fault>() => warn(server, error),
        _ => {}
    }
}

/// The same of a stream of HTTP/2.
pub(super) fn tell_of_stream(server: &Server, ended: &Ended) {
    match ended {
        Ended::Fault(error) => warn(server, error),
        // It is we who reset what is malformed.
        Ended::Stream(error) if error.is_reset() && error.is_library() => warn(server, error),
        _ => {}
    }
}

fn warn(server: &Server, error: &dyn Display) {
    let address = server.address.to_string();
    if server.tls.complaints.is_due(&address) {
        tracing::warn!("no sound response from upstream '{address}': {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_spoken_of_once() {
        let complaints = Complaints::default();
        let due = ["a:80", "b:80", "a:80"].map(|server| complaints.is_due(server));
        assert_eq!(due, [true, true, false]);
    }
}
