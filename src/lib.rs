//! BWS, a web server and reverse proxy for Linux whose configuration, certificates and binary change under load
//! without one client noticing.
//!
//! The map of the house; who may import whom is in brackets, and `tests/it/rooms.rs` checks it.
//!
//! - [`cli`]: argv, stdout, exit codes (config, core, worker, systemd, ipc)
//! - [`config`]: a file becomes checked, typed values; what changes between two of them (dns)
//! - [`core`]: the master: supervisor, hot reload, management API (config, dns, ipc, systemd, tls,
//!   metrics)
//! - [`dns`]: what names stand for, asked of name servers (nothing of ours)
//! - [`ipc`]: messages, descriptors, snapshot and shared counters: all that crosses the process boundary (config::types, dns)
//! - [`worker`]: listeners, connections, drain (config::types, dns, ipc, http, tls, metrics,
//!   systemd::events)
//! - [`http`]: a request becomes a response; knows neither sockets nor TLS (config::types, dns,
//!   metrics)
//! - [`tls`]: certificates, their choice by SNI, and how to get them from an authority (config::types, metrics)
//! - [`systemd`]: socket activation, notification, journal (config::types)
//! - [`metrics`]: counters and their text form (nothing of ours)

pub mod cli;
pub mod config;
pub mod core;
pub mod dns;
pub mod http;
pub mod ipc;
pub mod metrics;
pub mod systemd;
pub mod tls;
pub mod worker;
