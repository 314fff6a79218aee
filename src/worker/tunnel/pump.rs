//! Both directions of a tunnel, until it ends or leaves.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::way::{Broken, PIECE, Way};
use crate::http::proxy::{Occupancy, Stream};
use crate::metrics::counters::Global;
use crate::worker::activity::{Activity, Order, Ticks};
use crate::worker::thread::Thread;

/// How long, in ticks, one side may go on in silence when the other has closed: a minute.
const HALF_CLOSED: Ticks = 240;

/// Bytes under way that fit the message to the next generation. More there can only be of what came before the tunnel
/// was one.
const LUGGAGE: usize = 2 * PIECE;

/// A tunnel whose client side is a `C`.
pub struct Pump<C> {
    pub client: C,
    pub upstream: Stream,
    /// From the client to the upstream.
    pub up: Way,
    pub down: Way,
    pub activity: Rc<Activity>,
    pub thread: Rc<Thread>,
    /// Its place among the upstream's requests.
    pub occupancy: Option<Occupancy>,
}

/// Why a tunnel stops here.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides have closed, or one is broken.
    Over,
    /// For the next generation.
    Leaves,
    /// By our will, where a frame of ours may stand.
    Goodbye,
    /// By our will, and not so.
    Cut,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Pump<C> {
    /// Passes bytes on until something ends it. `leaves`: it may go to the next generation when ordered to.
    pub async fn run(&mut self, leaves: bool) -> End {
        let (mut leaving, mut closing) = (false, false);
        poll_fn(|context| {
            self.activity.register(context);
            if self.poll_pass(context).is_ready() {
                return Poll::Ready(End::Over);
            }
            match self.activity.take_order() {
                Some(Order::Park) => leaving |= leaves,
                // A byte may have come since the order was given.
                Some(Order::Close) => closing |= self.is_expired() || self.thread.draining.get(),
                _ => {}
            }
            self.stop(leaving, closing)
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn is_expired(&self) -> bool {
        self.activity.quiet() >= self.activity.patience.get()
    }

    fn stop(&self, leaving: bool, closing: bool) -> Option<End> {
        let at_rest = self.up.pending.is_empty() && self.down.pending.is_empty();
        if closing && self.down.is_open() && self.up.is_open() {
            return Some(End::Goodbye);
        }
        let speaks_frames = self.down.frames.is_some();
        if closing && (self.is_expired() || (at_rest && !speaks_frames)) {
            return Some(End::Cut);
        }
        let packed = self.up.pending.len() + self.down.pending.len();
        (leaving && packed <= LUGGAGE).then_some(End::Leaves)
    }

    fn poll_pass(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let activity = &self.activity;
        let moved = |read: usize, written: usize| {
            if read + written > 0 {
                activity.touch();
            }
        };
        let recorder = self.thread.recorder;
        let up = self.up.poll_pass(
            context,
            &mut self.client,
            &mut self.upstream,
            |read, written| {
                recorder.add(Global::BytesReceived, read as u64);
                moved(read, written);
            },
        );
        let down = self.down.poll_pass(
            context,
            &mut self.upstream,
            &mut self.client,
            |read, written| {
                recorder.add(Global::BytesSent, written as u64);
                moved(read, written);
            },
        );
        match (up, down) {
            (Poll::Ready(Err(Broken::Sender)), _) | (_, Poll::Ready(Err(_))) => {
                return Poll::Ready(());
            }
            // What the upstream said last is still to be read.
            (Poll::Ready(Err(Broken::Receiver)), _) => self.up.closed = true,
            _ => {}
        }
        match (self.up.closed, self.down.closed) {
            (true, true) => return Poll::Ready(()),
            (false, false) => {}
            _ => self.shorten_patience(),
        }
        Poll::Pending
    }

    fn shorten_patience(&self) {
        let patience = &self.activity.patience;
        patience.set(patience.get().min(HALF_CLOSED));
    }
}
