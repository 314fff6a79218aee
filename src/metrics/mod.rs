//! Counters and their text form.
//!
//! - `counters`: the words that a worker writes
//! - `lasting`: memory that outlives workers
//! - `totals`: their sum over threads, workers and generations
//! - `prometheus`: the text exposition format
//! - `upstreams`: what is known of upstream servers
pub mod counters;
pub mod lasting;
pub mod prometheus;
pub mod totals;
pub mod upstreams;
