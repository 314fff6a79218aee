//! TLS of a listener: certificates, their choice by SNI (RFC 6066 section 3), protocol versions and ALPN (RFC 7301).

pub mod acme;
pub mod challenges;
pub mod clients;
mod keys;
mod placeholder;
mod policies;
mod resolver;
mod server_config;
mod suites;
pub mod tickets;

pub use clients::UnusableAuthority;
pub use keys::Keys;
pub use policies::Choice;
pub use server_config::TlsListener;
