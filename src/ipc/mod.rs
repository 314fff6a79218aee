//! All that crosses the process boundary.
pub mod message;
