//! Socket activation, notification, watchdog, journal.
//!
//! - `activation`: the sockets that systemd passed
//! - `notify`: READY, RELOADING, STATUS and the rest of sd_notify(3)
//! - `logging`: where log lines go, changed while running
pub mod activation;
mod line;
pub mod logging;
pub mod notify;
