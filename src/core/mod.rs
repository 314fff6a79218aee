//! The master: reads and validates the configuration, spawns workers and watches them, reports. Never touches a
//! client's bytes.
//!
//! - `supervisor`: its decisions, pure
//! - `hot_reload`: the steps of a reload
//! - `sockets`: the listening sockets
//! - `process`: title, program path, limits
pub mod hot_reload;
pub mod process;
pub mod sockets;
pub mod supervisor;
