//! The master: reads and validates the configuration, spawns workers and watches them, reports. Never touches a
//! client's bytes.
//!
//! - `supervisor`: its decisions, pure
//! - `hot_reload`: the steps of a reload
//! - `master`: the shell around the decisions
//! - `journal`: what the operator is told
//! - `chronicle`: the last events, for those who follow them
//! - `worker_process`: one worker as the master sees it
//! - `sockets`: the listening sockets; `ports`: those that root binds for us
//! - `takeover`: a new binary by reload
//! - `watch`: reload by itself when a file changes
//! - `management`: the API for operators; `report`: what it says
//! - `process`: title, program path, limits
pub mod chronicle;
pub mod hot_reload;
pub mod journal;
pub mod management;
pub mod master;
pub mod ports;
pub mod process;
pub mod report;
pub mod sockets;
pub mod supervisor;
pub mod takeover;
pub mod watch;
pub mod worker_process;
