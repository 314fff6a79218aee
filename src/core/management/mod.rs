//! The management API: HTTP on a Unix socket, always, and on TCP when `[management]` enables it.
//!
//! - `socket_path`: where the Unix socket is
//! - `control`: the Unix socket
//! - `tcp`: the TCP side
//! - `connection`: HTTP on one connection
//! - `presence`: a connection that may have to live on in another program
//! - `access`: who may use it
//! - `patient`: clients have to read
//! - `routes`: the endpoints
//! - `event_stream`: what happens, as it happens
//! - `page`: the status page

mod access;
mod connection;
mod control;
mod event_stream;
mod page;
mod patient;
mod presence;
mod routes;
pub mod socket_path;
mod tcp;

pub use control::Control;
pub use presence::{Presence, answer, expectant};
pub use tcp::Tcp;
