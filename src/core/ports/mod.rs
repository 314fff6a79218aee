//! Ports that the configuration wants and that the master may not bind itself. `bws bind-ports`, run as root, reads the
//! configuration (never an order of the service), binds what the master does not hold, and passes the sockets over a
//! Unix socket beside the control socket. The reload that follows uses them.
//!
//! - `message`: what the two say to each other
//! - `door`: the master's end
//! - `helper`: root's end
//! - `trust`: whose files root follows

mod door;
pub mod helper;
mod message;
pub mod trust;

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

pub use door::Door;

use super::report::ReloadReport;
use crate::config::types::ListenAddress;

/// What the master's loop is asked.
pub enum Question {
    /// Which of these are not held, by their place.
    Missing(Vec<ListenAddress>, oneshot::Sender<Vec<usize>>),
    /// Root bound these, and could not bind those.
    Bound(Vec<OwnedFd>, Vec<(ListenAddress, String)>),
    /// Root does nothing, and why.
    Declined(String),
    /// That was all. Answered after a reload if one was waiting for the sockets; else dropped.
    Done(oneshot::Sender<ReloadReport>),
}
