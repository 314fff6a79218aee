//! Everything about a reload lives here: its steps as a pure machine, and what it tells the operator.
pub mod journal;
pub mod machine;
