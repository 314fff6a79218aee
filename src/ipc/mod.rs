//! All that crosses the process boundary between master and worker: typed messages, descriptors, the configuration
//! snapshot and the shared counters.

pub mod channel;
pub mod counters_page;
pub mod inheritance;
pub mod message;
pub mod readiness;
pub mod snapshot;
