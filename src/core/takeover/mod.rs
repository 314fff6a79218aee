//! A new binary by reload: the master becomes the program that now lies on its path. Same process, same descriptors,
//! same children; what it knows travels in a memfd.
//!
//! - `program`: the program on disk, and whether it is still the one that runs
//! - `state`: what travels
//! - `check`: the new program is asked beforehand whether it can go on from there
//! - `exec`: the step itself
//! - `descriptors`: open files, by number, from one program to the next
//! - `moment`: points in time, likewise
//!
//! The master's part, what is taken along and how it is found again, is in `master::takeover`.

pub mod check;
pub mod descriptors;
pub mod exec;
pub mod moment;
pub mod program;
pub mod state;

/// Tells the new program where its state is: "PID:DESCRIPTOR".
pub const VARIABLE: &str = "BWS_TAKEOVER";
