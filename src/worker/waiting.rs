//! The streams of an HTTP/2 connection that wait for their client: each has a pace of its own, and the one that falls short
//! ends alone. A stream that does not wait is not in the list.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::access_log::Exchange;
use super::activity::{Activity, Ticks};
use crate::config::types::SiteIndex;
use crate::http::uploads::Claim;

/// Bytes by which streams may precede one another, though all of them have room: what each is lent of the connection's
/// window at a time, and what is buffered for it.
const QUANTUM: u64 = 256 * 1024;
/// Bytes that a stream gets when it is its turn, if its client leaves it room: most of them get a whole frame.
const TURN: u64 = 4 * 1024;
/// How many times slower than the others together an upload may be, for each of them.
const BEHIND: u64 = 4;

/// The streams of one connection that wait for its client, or may come to it.
#[derive(Default)]
pub struct Waiting(RefCell<Slab<Rc<Stream>>>);

/// What a client must do for a stream that waits for it.
#[derive(Clone, Copy)]
pub struct Demand {
    /// In so many ticks …
    pub ticks: Ticks,
    /// … it must move so many bytes.
    pub least: u64,
}

/// What the whole connection does.
#[derive(Clone, Copy, Default)]
pub struct Whole {
    pub now: Ticks,
    /// Bytes of response bodies that left.
    pub taken: u64,
    /// Bytes of request bodies that came.
    pub received: u64,
    /// Responses that have more than the client takes.
    pub owed: u32,
    /// Requests whose bodies are waited for.
    pub awaited: u32,
    /// Nothing can be written.
    pub blocked: bool,
    /// When the newest of the requests came of whose response bytes left.
    pub served: Ticks,
}

struct Stream {
    exchange: Rc<Exchange>,
    claim: Option<Rc<Claim>>,
    stretch: Cell<Stretch>,
    /// When its last turn was, and how far it had come then.
    turn: Cell<(Ticks, u64)>,
    too_slow: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A time in which the client was waited for, and where it began.
#[derive(Clone, Copy, Default)]
struct Stretch {
    ticks: Ticks,
    moved: u64,
    taken: u64,
    received: u64,
    /// Others came later and had their turn: it is not the connection that is short of room.
    overtaken: bool,
}

impl Waiting {
    /// Ends the streams whose client does not do what is demanded. To be called at each tick.
    pub fn judge(&self, whole: &Whole, demand: impl Fn(Option<SiteIndex>) -> Demand) {
        for (_, stream) in self.0.borrow().iter() {
            if stream.falls_short(whole, demand(stream.exchange.site())) {
                stream.too_slow.set(true);
                if let Some(waker) = stream.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

impl Waiting {
    /// The most patient of what is demanded for the streams that wait; None without any.
    pub fn most_patient(&self, demand: impl Fn(Option<SiteIndex>) -> Demand) -> Option<Demand> {
        let streams = self.0.borrow();
        let waiting = streams.iter().map(|(_, stream)| stream);
        let waiting = waiting.filter(|stream| stream.is_awaited() || stream.exchange.is_owed());
        waiting
            .map(|stream| demand(stream.exchange.site()))
            .max_by_key(|demand| demand.ticks)
    }
}

impl Stream {
    fn is_awaited(&self) -> bool {
        self.claim.as_deref().is_some_and(Claim::waits)
    }

    fn moved(&self) -> u64 {
        let received = self.claim.as_deref().map_or(0, Claim::received);
        self.exchange.sent_bytes().wrapping_add(received)
    }

    /// Whether its client did less than it must, in as many ticks in which it was waited for.
    fn falls_short(&self, whole: &Whole, demand: Demand) -> bool {
        let (moved, awaited) = (self.moved(), self.is_awaited());
        if !awaited && !self.exchange.is_owed() {
            self.turn.set((whole.now, moved));
            return false;
        }
        let overtaken = self.is_overtaken(moved, whole, demand.least);
        let stretch = self.stretch.get();
        if stretch.ticks > 0 && stretch.ticks < demand.ticks {
            self.stretch.set(Stretch {
                ticks: stretch.ticks + 1,
                overtaken: stretch.overtaken || overtaken,
                ..stretch
            });
            return false;
        }
        self.stretch.set(Stretch::begin(moved, whole));
        stretch.ticks > 0 && stretch.is_behind(moved, awaited, whole, demand.least)
    }

    /// Whether one that came after this one's last turn had one: `h2` gives them in order.
    fn is_overtaken(&self, moved: u64, whole: &Whole, least: u64) -> bool {
        let (last, then) = self.turn.get();
        if moved.wrapping_sub(then) >= TURN.min(least) {
            self.turn.set((whole.now, moved));
            return false;
        }
        whole.served > last
    }
}

impl Stretch {
    fn begin(moved: u64, whole: &Whole) -> Self {
        Self {
            ticks: 1,
            moved,
            taken: whole.taken,
            received: whole.received,
            overtaken: false,
        }
    }

    /// Whether a stream moved less than the `least` since, and not because its client is busy with the others.
    fn is_behind(self, moved: u64, awaited: bool, whole: &Whole, least: u64) -> bool {
        let moved = moved.wrapping_sub(self.moved);
        if moved >= least {
            return false;
        }
        if awaited {
            let all = whole.received.wrapping_sub(self.received);
            let share = all / (BEHIND * u64::from(whole.awaited.max(1)));
            return all < least || moved < share.clamp(1, least);
        }
        let all = whole.taken.wrapping_sub(self.taken);
        let stands_still = all < least && !whole.blocked;
        self.overtaken || stands_still || all >= QUANTUM * u64::from(whole.owed.max(1))
    }
}

/// A stream's place in the list; gone when dropped.
pub struct Place {
    activity: Rc<Activity>,
    key: usize,
    stream: Rc<Stream>,
}

impl Place {
    pub fn new(activity: &Rc<Activity>, exchange: &Rc<Exchange>, claim: Option<Rc<Claim>>) -> Self {
        let stream = Rc::new(Stream {
            exchange: exchange.clone(),
            claim,
            stretch: Cell::default(),
            turn: Cell::new((activity.now(), exchange.sent_bytes())),
            too_slow: Cell::default(),
            waker: RefCell::default(),
        });
        let key = activity.waiting.0.borrow_mut().insert(stream.clone());
        Self {
            activity: activity.clone(),
            key,
            stream,
        }
    }

    /// Ready when the client was too slow.
    pub fn poll_too_slow(&self, context: &Context<'_>) -> Poll<()> {
        if self.stream.too_slow.get() {
            return Poll::Ready(());
        }
        let mut waker = self.stream.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.activity.waiting.0.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: u64 = 1000;

    /// Whether a stream is behind that moved `moved` bytes, while the connection came to `whole`.
    fn is_behind(moved: u64, awaited: bool, whole: Whole) -> bool {
        Stretch::begin(0, &Whole::default()).is_behind(moved, awaited, &whole, LEAST)
    }

    #[test]
    fn a_busy_upload_hides_no_stalled_one_and_starves_no_slow_one() {
        let whole = |received| Whole {
            received,
            awaited: 10,
            ..Whole::default()
        };
        assert!(is_behind(999, true, whole(999)));
        assert!(!is_behind(1000, true, whole(1000)));
        assert!(is_behind(0, true, whole(1_000)));
        assert!(!is_behind(100, true, whole(1_000)));
        assert!(is_behind(999, true, whole(1_000_000)));
    }

    #[test]
    fn a_download_waits_its_turn() {
        let whole = |taken, blocked| Whole {
            taken,
            owed: 10,
            blocked,
            ..Whole::default()
        };
        assert!(is_behind(0, false, whole(0, false)));
        assert!(!is_behind(0, false, whole(0, true)));
        assert!(!is_behind(0, false, whole(QUANTUM, false)));
        assert!(is_behind(0, false, whole(10 * QUANTUM, false)));
        let overtaken = Stretch {
            overtaken: true,
            ..Stretch::default()
        };
        assert!(overtaken.is_behind(0, false, &whole(QUANTUM, true), LEAST));
        assert!(!overtaken.is_behind(LEAST, false, &whole(QUANTUM, true), LEAST));
    }
}
