//! Certificates from an authority (ACME, RFC 8555): protocol and state. Nothing here knows a site's sockets: what the
//! authority is to find there is shown by whoever runs an [`order`].
//!
//! - `schedule`: which site's certificate is ordered when; no I/O
//! - `order`: one order, from the names to a file; `proof`: what the authority is shown
//! - `account`: who orders; `client`: how the authority is spoken to
//! - `renewal`: when an authority suggests to renew (RFC 9773)
//! - `store`: files that are there whole or not at all

mod account;
mod client;
mod failure;
mod order;
mod proof;
mod renewal;
pub mod schedule;
mod store;

pub use account::Accounts;
pub use failure::{Failure, Scope};
pub use order::{Issued, order};
pub use renewal::{Suggestion, suggestion};
