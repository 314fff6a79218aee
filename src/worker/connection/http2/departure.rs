//! Whether what was given to a stream has left it. `h2` does not tell, and RST_STREAM drops what has not, the head of the
//! response included; so an empty DATA frame goes behind it all, and says so when it is gone.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use super::piece::Piece;

type Waiting = RefCell<Option<Waker>>;

/// Goes behind what is to leave.
pub struct Mark(Rc<Waiting>);

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// What is on its way.
pub struct Departure(Weak<Waiting>);

impl Departure {
    /// The departure of all that was sent before the piece.
    pub fn new() -> (Self, Piece) {
        let (departure, _tells) = Self::with_mark();
        (departure, Piece::Mark { _tells })
    }

    /// The departure of what goes with the mark.
    pub fn with_mark() -> (Self, Mark) {
        let waiting = Rc::new(Waiting::default());
        (Self(Rc::downgrade(&waiting)), Mark(waiting))
    }

    /// Ready when it has left, or never will.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.0.upgrade() {
            Some(waiting) => {
                *waiting.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_with_its_mark() {
        let mut context = Context::from_waker(Waker::noop());
        let (departure, mark) = Departure::new();
        assert!(departure.poll(&mut context).is_pending());
        drop(mark);
        assert!(departure.poll(&mut context).is_ready());
    }
}
