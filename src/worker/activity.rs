//! What a connection is doing, as its I/O, its requests and the sweep see it together.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::framing::Refusal;
use super::interim::Outbox;
use super::queued;
use super::waiting::{Waiting, Whole};
use crate::config::types::SiteIndex;
use crate::http::proxy::Tunnel;
use crate::http::uploads::Uploads;

/// Coarse time of a thread: ticks of [`super::sweep::TICK`] since it started.
pub type Ticks = u32;

/// A thread's clock, moved on by its sweep: reading it costs nothing.
#[derive(Default)]
pub struct Clock(Cell<Ticks>);

impl Clock {
    pub fn now(&self) -> Ticks {
        self.0.get()
    }

    pub fn advance(&self) {
        self.0.set(self.0.get().wrapping_add(1));
    }
}

/// What the sweep wants of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Idle for a moment: give the buffers back.
    Park,
    /// The request head takes too long (408).
    HeadTimeout,
    /// Nothing moved for too long, or the drain is over: close.
    Close,
    /// The client is too slow: close, whatever it does right now.
    TooSlow,
    /// Drain (HTTP/2): say GOAWAY.
    Drain,
    /// HTTP/1: close when the client has left, whatever is under way.
    Look,
}

/// How a client does that is waited for.
#[derive(Clone, Copy, Default)]
pub struct Pace {
    /// Ticks of the sweep in which it was waited for.
    pub ticks: Ticks,
    /// [`Activity::moved`] at the first of them.
    pub mark: u64,
}

/// State of one active connection.
pub struct Activity {
    clock: Rc<Clock>,
    /// Requests and bodies alive.
    pub in_flight: Rc<Cell<u32>>,
    /// HTTP/1: whose the last request was.
    pub site: Cell<Option<SiteIndex>>,
    /// Handlers wait for more of a request body.
    pub uploads: Rc<Uploads>,
    /// Response bodies that have more for the client than it takes.
    owed: Cell<u32>,
    /// Bytes of response bodies that left for the client.
    taken: Cell<u64>,
    /// When the newest of the requests came of whose response bytes left.
    served: Cell<Ticks>,
    /// HTTP/2: the streams that wait for the client.
    pub waiting: Waiting,
    /// HTTP/1: the response to the last request has begun.
    pub responding: Cell<bool>,
    /// While the client is waited for: how long, and where it stood then.
    pub pace: Cell<Pace>,
    /// The client's socket, as long as the transport is in use.
    pub socket: Cell<Option<RawFd>>,
    /// The last write could not be finished: something is still to be sent.
    pub write_blocked: Cell<bool>,
    /// Bytes came that belong to no request yet.
    pub head_started: Cell<bool>,
    /// HTTP/1: heads that hyper was given, or will be, and has not made a request of.
    pub heads_waiting: Cell<u32>,
    /// HTTP/1: the client is in the middle of a body.
    pub in_body: Cell<bool>,
    /// HTTP/1: nothing more is read. What came before is answered first.
    pub refusal: Cell<Option<Refusal>>,
    /// HTTP/2: a header block is under way since then, or the client has not begun.
    pub block_since: Cell<Option<Ticks>>,
    /// HTTP/2: the client sends more than it may.
    pub flooded: Cell<bool>,
    /// HTTP/2: responses that began since the connection's task had its turn.
    pub responses: Cell<u32>,
    /// HTTP/2: pieces of bodies and tunnels that the client was given since its frames were counted: clients answer them by
    /// window updates and pings.
    pub pieces: Cell<u32>,
    /// HTTP/2: small writes wait for others.
    pub gathers: Cell<bool>,
    /// Counts how often the connection's task had its turn.
    pub turn: Cell<u32>,
    /// HTTP/1: the client asked for another protocol; until that is declined nothing more is read.
    pub undecided: Cell<bool>,
    /// HTTP/1: responses before the response.
    pub interim: Outbox,
    /// HTTP/1: what the client is told instead of a response to the request under way.
    pub refused: Cell<Option<u16>>,
    /// HTTP/1: the last response ends with the connection, and with nothing else.
    pub unframed: Cell<bool>,
    /// HTTP/1: the tunnel that the last response opens.
    pub tunnel: RefCell<Option<Box<Tunnel>>>,
    /// A tunnel: how long it may be quiet.
    pub patience: Cell<Ticks>,
    /// HTTP/1: somebody wants to know whether the client is still there.
    pub look: Cell<bool>,
    /// HTTP/1: it is not.
    pub hung_up: Cell<bool>,
    /// It ends because the client is too slow; that is counted.
    pub shed: Cell<bool>,
    /// When bytes last moved, or a phase began.
    pub since: Cell<Ticks>,
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
}

impl Activity {
    pub fn new(clock: Rc<Clock>) -> Self {
        let since = Cell::new(clock.now());
        Self {
            clock,
            in_flight: Rc::default(),
            site: Cell::default(),
            uploads: Rc::default(),
            owed: Cell::default(),
            taken: Cell::default(),
            served: Cell::default(),
            waiting: Waiting::default(),
            responding: Cell::default(),
            pace: Cell::default(),
            socket: Cell::default(),
            write_blocked: Cell::default(),
            head_started: Cell::default(),
            heads_waiting: Cell::default(),
            in_body: Cell::default(),
            refusal: Cell::default(),
            block_since: Cell::default(),
            flooded: Cell::default(),
            responses: Cell::default(),
            pieces: Cell::default(),
            gathers: Cell::default(),
            turn: Cell::default(),
            undecided: Cell::default(),
            interim: Outbox::default(),
            refused: Cell::default(),
            unframed: Cell::default(),
            tunnel: RefCell::default(),
            patience: Cell::default(),
            look: Cell::default(),
            hung_up: Cell::default(),
            shed: Cell::default(),
            since,
            order: Cell::default(),
            waker: RefCell::default(),
        }
    }

    /// Nothing to do for the client and nothing under way to it.
    pub fn is_idle(&self) -> bool {
        self.has_answered() && !self.head_started.get() && !self.in_body.get()
    }

    /// Every request that came whole has its answer, and the answer left.
    pub fn has_answered(&self) -> bool {
        self.in_flight.get() == 0
            && self.heads_waiting.get() == 0
            && !self.write_blocked.get()
            && self.interim.is_empty()
    }

    /// HTTP/1: a whole head is there, and nothing that it would have to wait for.
    pub fn is_overlooked(&self) -> bool {
        self.heads_waiting.get() > 0 && self.in_flight.get() == 0 && !self.write_blocked.get()
    }

    pub fn now(&self) -> Ticks {
        self.clock.now()
    }

    /// HTTP/2: the client was given another piece.
    pub fn note_piece(&self) {
        self.pieces.set(self.pieces.get().saturating_add(1));
    }

    /// HTTP/2: notes whether a header block is under way.
    pub fn note_block(&self, under_way: bool) {
        let since = self.block_since.get().filter(|_| under_way);
        let since = since.or_else(|| under_way.then(|| self.now()));
        self.block_since.set(since);
    }

    /// Ticks since a header block began that has not ended.
    pub fn in_block(&self) -> Ticks {
        let since = self.block_since.get();
        since.map_or(0, |since| self.now().wrapping_sub(since))
    }

    /// Notes that bytes moved.
    pub fn touch(&self) {
        self.since.set(self.clock.now());
    }

    /// Ticks since bytes last moved.
    pub fn quiet(&self) -> Ticks {
        self.clock.now().wrapping_sub(self.since.get())
    }

    /// Bytes from the client. The first bytes of a head start the clock of the head; the later ones do not restart it.
    pub fn note_read(&self) {
        let in_head = self.in_flight.get() == 0;
        if !in_head || !self.head_started.get() {
            self.touch();
        }
        self.head_started.set(in_head);
    }

    /// So many bytes left of the body of a response to a request that came at `began`.
    pub fn note_taken(&self, bytes: u64, began: Ticks) {
        self.taken.set(self.taken.get().wrapping_add(bytes));
        self.served.set(self.served.get().max(began));
    }

    /// A response body begins or ceases to have more than the client takes.
    pub fn note_owed(&self, before: bool, now: bool) {
        let owed = self.owed.get() + u32::from(now) - u32::from(before);
        self.owed.set(owed);
    }

    /// Whether the client has to do something now: send a body, or take a response.
    pub fn waits_for_client(&self) -> bool {
        self.write_blocked.get() || self.owed.get() > 0 || self.uploads.is_waited_for()
    }

    /// What its streams are measured by.
    pub fn whole(&self) -> Whole {
        Whole {
            now: self.now(),
            taken: self.taken.get(),
            received: self.uploads.total(),
            owed: self.owed.get(),
            awaited: self.uploads.waited_for(),
            blocked: self.write_blocked.get(),
            served: self.served.get(),
        }
    }

    /// Body bytes that the client sent or took so far. What still waits in the kernel it did not take.
    pub fn moved(&self) -> u64 {
        let queued = self.socket.get().map_or(0, queued::bytes);
        let moved = self.uploads.total().wrapping_add(self.taken.get());
        moved.wrapping_sub(queued)
    }

    /// A whole head arrived.
    pub fn note_request(&self) {
        self.responding.set(false);
        self.head_started.set(false);
        let waiting = self.heads_waiting.get();
        self.heads_waiting.set(waiting.saturating_sub(1));
        self.touch();
    }

    /// The client's wish for another protocol has its answer: HTTP goes on.
    pub fn decline(&self) {
        if self.undecided.replace(false) {
            self.wake();
        }
    }

    pub fn give(&self, order: Order) {
        match order {
            Order::Look => self.look.set(true),
            order => self.order.set(Some(order)),
        }
        self.wake();
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    pub fn take_order(&self) -> Option<Order> {
        self.order.take()
    }

    /// Whom to wake when an order comes.
    pub fn register(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
    }
}
