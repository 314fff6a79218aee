//! A request becomes a response; knows neither sockets nor TLS.
pub mod body;
pub mod in_flight;
pub mod service;
