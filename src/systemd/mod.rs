//! Socket activation, notification, journal.
