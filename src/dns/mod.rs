//! What names stand for: asked of name servers, and asked again when the records' time is over (RFC 1034, 1035, 2782).
//!
//! - [`Resolver`]: what all threads of a process know; `lookup` finds it out; `blocking`: for those without a runtime
//! - [`Word`]: what was learned, for others
//! - `settings`: which servers, and which names are the system's business; `system` reads that from its files
//! - `question`, `answer`: one message each way; `ask`: over which wire

mod answer;
mod ask;
mod blocking;
#[cfg(fuzzing)]
pub mod fuzzing;
mod lookup;
mod order;
mod question;
mod resolver;
mod settings;
mod system;
mod word;

#[cfg(test)]
#[path = "../../tests/it/harness/name_server.rs"]
pub(crate) mod name_server;
#[cfg(test)]
mod tests;

pub use lookup::Target;
pub use resolver::{Known, Resolver};
pub use word::{Meaning, Word};
