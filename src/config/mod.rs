//! The configuration file: raw → resolve → types; diff.
pub mod types;
