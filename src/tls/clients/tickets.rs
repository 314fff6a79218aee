//! Session tickets of sites that verify clients: a ticket opens the door only to those who were verified by the same
//! rules, wherever it was given, and only as long as its owner's certificate is valid. (CVE-2025-23419 was about servers
//! that took tickets of one site at another.)

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::server::ProducesTickets;

use super::session;
use crate::config::types::ClientVerification;
use crate::tls::tickets::Tickets;

pub(in crate::tls) struct ClientTickets {
    tickets: Arc<Tickets>,
    /// Names the rules.
    rules: Box<[u8]>,
}

impl ClientTickets {
    pub(in crate::tls) fn new(tickets: Arc<Tickets>, wanted: &ClientVerification) -> Self {
        let revocations = wanted.revocations.as_ref().map_or("", |it| &it.0);
        let rules = format!("{} {} {revocations}", wanted.trust.0, wanted.required);
        Self {
            tickets,
            rules: rules.into_bytes().into(),
        }
    }
}

impl ProducesTickets for ClientTickets {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.seal_for(&self.rules, plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let now = i64::try_from(now.as_secs()).ok()?;
        let session = self.tickets.open_for(&self.rules, ticket)?;
        session::is_in_date(&session, now).then_some(session)
    }
}

impl fmt::Debug for ClientTickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientTickets")
    }
}
