//! What workers share with those before and after them: made at start, handed to every worker, kept when the master
//! becomes another program.

use std::io;
use std::os::fd::AsRawFd as _;

use crate::core::takeover::descriptors::{self, Number};
use crate::ipc::shared_page::SharedPage;
use crate::metrics::lasting::{self, WORDS};

pub struct Lasting(SharedPage);

impl Lasting {
    pub fn create() -> io::Result<Self> {
        let page = SharedPage::create("bws-lasting", WORDS)?;
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| io::Error::other("no random numbers"))?;
        lasting::Lasting::prepare(page.words(), secret).expect("a page of this very length");
        Ok(Self(page))
    }

    /// That of the program before; None when it is gone or of another layout, then a fresh one has to do.
    pub fn resume(number: Number) -> Option<Self> {
        let page = descriptors::claim(number).and_then(SharedPage::reopen);
        let page = page
            .inspect_err(|error| tracing::error!("the lasting memory was lost on the way: {error}"))
            .ok()?;
        lasting::Lasting::open(page.words())?;
        Some(Self(page))
    }

    pub fn record(&self) -> Number {
        Number(self.0.memory().as_raw_fd())
    }

    pub fn page(&self) -> &SharedPage {
        &self.0
    }
}
