//! The master: reads and validates the configuration, spawns workers and watches them, reports. Never touches a
//! client's bytes.
//!
//! - `supervisor`: its decisions, pure
//! - `hot_reload`: the steps of a reload
pub mod hot_reload;
pub mod supervisor;
