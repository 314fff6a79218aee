//! The master.
pub mod hot_reload;
