//! Listeners, connections, drain.
