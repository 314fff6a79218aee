//! Requests that an upstream answers.
//!
//! - `route`: which of the `pools`; `pool`: which server of it for a `client`, by the methods of `balance` and the cookie of
//!   `sticky`; `failover`: another one where it fails
//! - `standing`: what all threads know of the servers; `health`: how it changes; `waiting`: for a server with room;
//!   `budget`: how much may be sent again
//! - `service`: a pool whose servers are those of SRV records; `follower`: as one thread knows it
//! - `check`: asks servers how they are
//! - `server`: one thread's idle connections; `connect`: new ones; `names`: to which addresses
//! - `sender`: a connection of `http1` or `http2`; `tls`: below either
//! - `exchange`: sends and waits; `headers`, `forwarded` and `redirect`: rewrite both heads; `guarded`: what only BWS says; `upload`, `body`: stream
//! - `patience`: how long it may take; `trouble`: why there is none; `complaints`: what the operator hears of it;
//!   `expectation`: a body that the upstream is to ask for;
//!   `interim`: what it says before its answer
//! - `upgrade`: which requests ask for another protocol; `switch` sends them, `extended_connect` by HTTP/2, and a
//!   `Tunnel` comes of it
mod balance;
mod body;
mod budget;
mod check;
mod client;
mod complaints;
mod connect;
mod exchange;
mod expectation;
mod extended_connect;
mod failover;
mod follower;
mod forwarded;
mod guarded;
mod headers;
#[cfg(fuzzing)]
pub(super) mod fuzzing {
    //! What tests/fuzz does with this room.

    /// Takes away what is meant for one hop alone.
    pub(in crate::http) fn strip(headers: &mut http::HeaderMap) {
        super::headers::strip_hop_by_hop(headers);
    }

    pub(in crate::http) use super::http1::compare;
}
mod health;
mod http1;
mod http2;
mod interim;
mod names;
mod patience;
mod pool;
mod pools;
mod redirect;
mod route;
mod sender;
mod server;
mod service;
mod standing;
mod sticky;
mod stream;
mod switch;
mod tls;
mod trouble;
mod tunnel;
mod upgrade;
mod upload;
mod waiting;
mod websocket_key;

pub(super) use self::expectation::is_expected;
pub(super) use check::Checks;
pub(super) use failover::forward;
pub(super) use pools::Pools;
pub(super) use route::{Target, find_route};
pub(super) use server::Servers;
pub use standing::{Change, Standings, Tell};
pub use stream::Stream;
pub(super) use tls::TlsClients;
pub use tunnel::{Occupancy, Tunnel};
