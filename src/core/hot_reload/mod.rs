//! Reloading.
