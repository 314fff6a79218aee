//! A request becomes a response; knows neither sockets nor TLS.
//!
//! The way of a request: `admission` (is it well-formed, which host does it mean; `head_size`: is it small enough) → `router` (which site) →
//! `reach` (may this TLS connection ask for it) → `middleware` (may it pass) → `service` (endpoint, route or file) → `static_files` or `proxy` → `site` (headers of
//! every response, pages for errors) → `compression`.
mod admission;
pub mod body;
pub mod byte_stream;
mod caching;
mod challenges;
mod client_certificate;
mod clock;
mod compression;
mod connection;
mod endpoints;
pub mod error_page;
mod error_pages;
mod fields;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head_size;
pub mod in_flight;
mod incoming;
pub mod interim;
mod leftover;
mod max_forwards;
pub mod metrics_page;
mod middleware;
pub mod open_file;
pub mod proxy;
mod reach;
mod recycled;
mod request_path;
mod router;
pub mod service;
mod site;
pub mod spelling;
mod static_files;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod trailers;
pub mod uploads;
mod weight;
