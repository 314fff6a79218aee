//! Knows whether a connection has work in flight: one [`InFlight`] lives in each request body, handler and response
//! body.

use std::cell::Cell;
use std::rc::Rc;

/// One piece of work of a connection; gone when dropped.
pub struct InFlight(Rc<Cell<u32>>);

impl InFlight {
    pub fn new(count: &Rc<Cell<u32>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
