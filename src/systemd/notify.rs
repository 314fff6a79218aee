//! What the service manager is told (sd_notify(3)). Without one, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager was not notified: {error}");
    }
}

pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

pub fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Asks for this much more time for the start, reload or stop that is under way.
pub fn extend(time: Duration) {
    let microseconds = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    send(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
}

/// Tells the watchdog that the loop turns.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How long the watchdog waits for [`alive`] until it restarts the service. None: nobody watches.
pub fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

/// A reload that the service manager knows of. However it ends, dropping this sends READY=1: systemd 252 and 257 would
/// else show "reloading" for ever.
#[must_use]
pub struct Reloading {
    status: Option<String>,
}

impl Reloading {
    pub fn begin(status: &str) -> Self {
        let monotonic = NotifyState::monotonic_usec_now().ok();
        let states = [
            Some(NotifyState::Reloading),
            monotonic,
            Some(NotifyState::Status(status)),
        ];
        send(&states.into_iter().flatten().collect::<Vec<_>>());
        Self { status: None }
    }

    /// Ends it with this status.
    pub fn end(mut self, status: String) {
        self.status = Some(status);
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        match self.status.take() {
            Some(status) => ready(&status),
            None => send(&[NotifyState::Ready]),
        }
    }
}
