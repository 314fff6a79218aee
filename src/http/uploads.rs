//! What the requests of a connection wait for from its client, and how much came.

use std::cell::Cell;
use std::rc::Rc;

/// The bodies of a connection's requests.
#[derive(Default)]
pub struct Uploads {
    waited_for: Cell<u32>,
    received: Cell<u64>,
}

impl Uploads {
    /// Whether a reader waits for the client to send more.
    pub fn is_waited_for(&self) -> bool {
        self.waited_for() > 0
    }

    /// How many readers do.
    pub fn waited_for(&self) -> u32 {
        self.waited_for.get()
    }

    /// Bytes of all bodies so far.
    pub fn total(&self) -> u64 {
        self.received.get()
    }
}

/// What has become of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Somebody reads it, or will.
    #[default]
    Open,
    Whole,
    /// Nobody reads the rest of it.
    Abandoned,
    /// The client left in the middle of it.
    ClientLeft,
}

/// One body's part in it.
pub struct Claim {
    uploads: Rc<Uploads>,
    received: Cell<u64>,
    waits: Cell<bool>,
    released: Cell<bool>,
    fate: Cell<Fate>,
    asked: Cell<bool>,
}

impl Claim {
    pub fn new(uploads: &Rc<Uploads>) -> Rc<Self> {
        Rc::new(Self {
            uploads: uploads.clone(),
            received: Cell::default(),
            waits: Cell::new(false),
            released: Cell::new(false),
            fate: Cell::default(),
            asked: Cell::default(),
        })
    }

    /// Whether somebody has begun to read it: a client that waits for that is then told to go on (100).
    pub fn is_asked_for(&self) -> bool {
        self.asked.get()
    }

    pub(super) fn ask(&self) {
        self.asked.set(true);
    }

    /// Bytes of it so far.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Whether a reader waits for the client.
    pub fn waits(&self) -> bool {
        self.waits.get()
    }

    pub(super) fn note_received(&self, bytes: u64) {
        for count in [&self.received, &self.uploads.received] {
            count.set(count.get().wrapping_add(bytes));
        }
    }

    pub fn fate(&self) -> Fate {
        self.fate.get()
    }

    /// The first word counts.
    pub(super) fn end(&self, fate: Fate) {
        if self.fate.get() == Fate::Open {
            self.fate.set(fate);
        }
    }

    /// A reader waits for the client, or does not any more.
    pub(super) fn wait(&self, waits: bool) {
        let waits = waits && !self.released.get();
        if self.waits.replace(waits) == waits {
            return;
        }
        let count = &self.uploads.waited_for;
        count.set(if waits {
            count.get() + 1
        } else {
            count.get() - 1
        });
    }

    /// The client may take its time from now on.
    pub fn release(&self) {
        self.wait(false);
        self.released.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_waited_for_until_it_comes_or_may_take_its_time() {
        let uploads = Rc::new(Uploads::default());
        let (one, other) = (Claim::new(&uploads), Claim::new(&uploads));
        one.wait(true);
        one.wait(true);
        other.wait(true);
        other.wait(false);
        assert!(uploads.is_waited_for());
        one.release();
        assert!(!uploads.is_waited_for());
        one.wait(true);
        assert!(!uploads.is_waited_for());
    }
}
