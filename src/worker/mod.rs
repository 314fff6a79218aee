//! The worker process: listeners, connections, drain. It reads no file but those that it serves.
//!
//! A control loop (this thread) speaks with the master; each serving thread runs a runtime of its own and shares
//! nothing that is written on the way of a request.

mod accept;
mod access_log;
mod activity;
mod connection;
mod control;
mod drain;
mod file_window;
mod frames;
mod framing;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hang_up;
mod interim;
mod io;
mod journal;
mod memory;
mod outbox;
mod parked;
mod proxy_protocol;
mod queued;
mod start;
mod sweep;
mod thread;
mod tunnel;
mod waiting;
mod wire_body;

pub use control::{Hooks, main};
