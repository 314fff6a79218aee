//! A response that takes its time, in memory that is used again: futures of this size come and go with every proxied
//! request, many at a time, and the allocator would give their pages back and fetch them again all the time.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use http::Response;

use super::body::Body;

/// Bytes of a block.
const SIZE: usize = 3072;
/// Blocks that a thread keeps at most.
const KEPT: usize = 128;

#[repr(C, align(16))]
struct Block([u8; SIZE]);

type Blocks = Vec<Box<MaybeUninit<Block>>>;

thread_local! {
    static FREE: RefCell<Blocks> = const { RefCell::new(Vec::new()) };
}

type Waiting = dyn Future<Output = Response<Body>>;

/// A future in a block, or in memory of its own when it does not fit into one.
pub(super) struct Recycled {
    /// Valid and pinned until this is dropped; nobody else has it.
    future: NonNull<Waiting>,
    /// Where it lies; None: it was a box.
    block: Option<NonNull<MaybeUninit<Block>>>,
}

impl Recycled {
    pub(super) fn new<F>(future: F) -> Self
    where
        F: Future<Output = Response<Body>> + 'static,
    {
        if size_of::<F>() > SIZE || align_of::<F>() > align_of::<Block>() {
            let future: Box<Waiting> = Box::new(future);
            return Self {
                future: NonNull::from(Box::leak(future)),
                block: None,
            };
        }
        let free = FREE.with_borrow_mut(Vec::pop);
        let block = NonNull::from(Box::leak(free.unwrap_or_else(Box::new_uninit)));
        let place = block.cast::<F>();
        // SAFETY: the block is ours alone, large enough for an F and aligned for it, as was just asked.
        unsafe { place.write(future) };
        Self {
            future: place,
            block: Some(block),
        }
    }
}

impl Future for Recycled {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Body>> {
        // SAFETY: it is valid, nobody else has it, and it stays where it is until it is dropped there.
        let future = unsafe { Pin::new_unchecked(self.future.as_mut()) };
        future.poll(context)
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        let Some(block) = self.block else {
            // SAFETY: it came out of a box, and this is the last use of it.
            drop(unsafe { Box::from_raw(self.future.as_ptr()) });
            return;
        };
        // SAFETY: it is valid, and this is the last use of it. Should that panic, the block is leaked.
        unsafe { self.future.drop_in_place() };
        // SAFETY: the block came out of a box of this type, and what lay in it is gone.
        let block = unsafe { Box::from_raw(block.as_ptr()) };
        // A thread that ends keeps nothing.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(block);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::http::testing::run;

    fn status(code: u16) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
        response
    }

    fn sized<const N: usize>(code: u16, witness: &Rc<()>) -> Recycled {
        let (load, witness) = ([7_u8; N], witness.clone());
        Recycled::new(async move {
            tokio::task::yield_now().await;
            assert!(load.iter().all(|byte| *byte == 7));
            drop(witness);
            status(code)
        })
    }

    #[test]
    fn small_and_large_ones_come_to_their_end() {
        let witness = Rc::new(());
        run(async {
            for round in 0..3 {
                let pending: Vec<Recycled> = (0..200)
                    .map(|at| match at % 3 {
                        0 => sized::<1>(200 + at, &witness),
                        1 => sized::<2000>(200 + at, &witness),
                        _ => sized::<5000>(200 + at, &witness),
                    })
                    .collect();
                for (at, later) in pending.into_iter().enumerate() {
                    // Some are given up, unpolled.
                    if at % 7 != round {
                        assert_eq!(usize::from(later.await.status().as_u16()), 200 + at);
                    }
                }
                assert_eq!(Rc::strong_count(&witness), 1);
                assert!((1..=KEPT).contains(&FREE.with_borrow(Vec::len)));
            }
        });
    }
}
