//! The integration tests: the real binary, real sockets, real clients. One module a feature.
//!
//! `client` is the client that counts, `harness` starts and watches servers.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say so and end"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "client and harness are shared with the benchmarks' driver"
)]

mod client;
mod harness;

mod access_log;
mod acme;
mod broken_answers;
mod certificates;
mod client_certificates;
mod commands;
mod connections;
mod credentials;
mod downloads;
mod examples;
mod failing_reloads;
mod files;
mod head_limits;
mod heartbeat;
mod http2_floods;
mod http2_streams;
mod http2_wire;
mod interim;
mod kills;
mod leftovers;
mod management;
mod manual;
mod metrics;
mod middleware;
mod misdirected;
mod names;
mod notifications;
mod ports;
mod proxy;
mod reload_storm;
mod reloads;
mod resumption;
mod rooms;
mod sites;
mod slow_clients;
mod smuggling;
mod static_files;
mod tunnels;
mod upgrade;
mod upstream_protocols;
mod upstream_streams;
mod upstreams;
mod watching;
mod websockets;
