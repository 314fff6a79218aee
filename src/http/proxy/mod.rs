//! Requests that an upstream answers.
//!
//! [`route`] says which pool, [`balance`] which server of it, [`server`] keeps its idle connections and [`connect`]
//! makes new ones; [`headers`] rewrites both heads; [`exchange`] sends, waits and tries again; [`body`] streams.
//! A connection speaks HTTP/1.1 or [`http2`], which a [`sender`] hides; [`tls`] is below either.
//! [`upgrade`] knows which requests ask for another protocol, [`switch`] sends them, and a [`Tunnel`] comes of it.
mod balance;
mod body;
mod connect;
mod exchange;
mod headers;
mod http2;
mod route;
mod sender;
mod server;
mod stream;
mod switch;
mod tls;
mod tunnel;
mod upgrade;
mod websocket_key;

pub(super) use balance::Pools;
pub(super) use exchange::forward;
pub(super) use route::{Target, find_route};
pub(super) use server::Servers;
pub use stream::Stream;
pub(super) use tls::TlsClients;
pub use tunnel::Tunnel;
