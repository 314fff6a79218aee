//! Socket activation, notification, watchdog, journal.
//!
//! - `activation`: the sockets that systemd passed
//! - `fd_store`: sockets that systemd keeps for us
//! - `notify`: READY, RELOADING, STATUS and the rest of sd_notify(3)
//! - `logging`: where log lines go, changed while running; `line`: their form outside the journal
//! - `events`: what an operator acts on: MESSAGE_IDs and the catalog, one table
pub mod activation;
pub mod events;
pub mod fd_store;
mod line;
pub mod logging;
pub mod notify;
