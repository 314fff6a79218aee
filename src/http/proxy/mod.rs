//! Requests that an upstream answers.
//!
//! [`route`] says which pool, [`balance`] which server of it, [`server`] keeps its idle connections and [`connect`]
//! makes new ones; [`headers`] rewrites both heads; [`exchange`] sends, waits and tries again; [`body`] streams.
mod balance;
mod body;
mod connect;
mod exchange;
mod headers;
mod route;
mod server;

pub(super) use balance::Pools;
pub(super) use exchange::forward;
pub(super) use route::{Target, find_route};
pub(super) use server::Servers;
