//! What workers share with those before and after them: made at start, handed to every worker, kept when the master
//! becomes another program.

use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::AtomicU64;

use crate::core::takeover::descriptors::{self, Number};
use crate::ipc::shared_page::SharedPage;
use crate::metrics::lasting::{self, WORDS};
use crate::tls::tickets::KeyRing;

pub struct Lasting(SharedPage);

impl Lasting {
    pub fn create() -> io::Result<Self> {
        let page = SharedPage::create("bws-lasting", WORDS)?;
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| io::Error::other("no random numbers"))?;
        lasting::Lasting::prepare(page.words(), secret).expect("a page of this very length");
        let made = Self(page);
        made.refresh_tickets();
        Ok(made)
    }

    /// That of the program before; None when it is gone or of another layout, then a fresh one has to do.
    pub fn resume(number: Number) -> Option<Self> {
        let page = descriptors::claim(number).and_then(SharedPage::reopen);
        let page = page
            .inspect_err(|error| tracing::error!("the lasting memory was lost on the way: {error}"))
            .ok()?;
        lasting::Lasting::open(page.words())?;
        let found = Self(page);
        found.refresh_tickets();
        Some(found)
    }

    /// Sees to the keys of session tickets; to be called every hour.
    pub fn refresh_tickets(&self) {
        let lasting = lasting::Lasting::open(self.0.words()).expect("it was opened before");
        if let Err(error) = KeyRing::new(lasting.ticket_keys()).refresh() {
            tracing::error!("{error}");
        }
    }

    pub fn record(&self) -> Number {
        Number(self.0.memory().as_raw_fd())
    }

    /// What is known of upstream servers.
    pub fn upstreams(&self) -> &[AtomicU64] {
        let lasting = lasting::Lasting::open(self.0.words());
        lasting.expect("it was opened before").upstreams()
    }

    pub fn page(&self) -> &SharedPage {
        &self.0
    }
}
