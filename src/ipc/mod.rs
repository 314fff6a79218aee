//! All that crosses the process boundary between master and worker: typed messages, descriptors, the configuration
//! snapshot and shared memory.

pub mod channel;
pub mod inheritance;
mod mapping;
pub mod message;
pub mod names;
pub mod page;
pub mod readiness;
pub mod shared_page;
pub mod snapshot;
