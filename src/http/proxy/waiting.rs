//! Requests that wait because every server of their pool has `max_conns` of them: the longest waiting is next, whatever
//! its thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::standing::PoolStanding;
use crate::metrics::upstreams::now;

/// Those who wait for one pool.
#[derive(Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    /// Of the queue: what can be asked without its lock.
    length: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    waiters: VecDeque<Waiter>,
    last_number: u64,
}

struct Waiter {
    number: u64,
    sender: oneshot::Sender<Permit>,
}

/// A place at a server, on its way to who waited for it.
struct Permit {
    /// None when the place was taken.
    pool: Option<Arc<PoolStanding>>,
    index: usize,
}

impl Permit {
    fn redeem(mut self) -> usize {
        self.pool = None;
        self.index
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.leave(self.index);
        }
    }
}

/// A place in the queue; given up when dropped.
struct Ticket<'a> {
    pool: &'a PoolStanding,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let waiting = &self.pool.waiting;
        let mut queue = waiting.lock();
        queue.waiters.retain(|waiter| waiter.number != self.number);
        waiting.publish(&queue);
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.length.load(Ordering::SeqCst) == 0
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, queue: &Queue) {
        self.length.store(queue.waiters.len(), Ordering::SeqCst);
    }
}

impl PoolStanding {
    /// Waits for a place at any server, which then is the caller's. None when there are `longest` waiting already, or
    /// after `limit`.
    pub(super) async fn wait(self: &Arc<Self>, longest: u32, limit: Duration) -> Option<usize> {
        let (ticket, place) = self.enqueue(longest)?;
        // Some server may have become free before it could know of us.
        (0..self.servers.len()).for_each(|index| self.admit_waiting(index));
        let permit = tokio::time::timeout(limit, place).await;
        drop(ticket);
        Some(permit.ok()?.ok()?.redeem())
    }

    fn enqueue(&self, longest: u32) -> Option<(Ticket<'_>, oneshot::Receiver<Permit>)> {
        let mut queue = self.waiting.lock();
        if queue.waiters.len() >= longest as usize {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        queue.last_number += 1;
        let number = queue.last_number;
        queue.waiters.push_back(Waiter { number, sender });
        self.waiting.publish(&queue);
        Some((Ticket { pool: self, number }, receiver))
    }

    /// Gives free places of server number `index` to those who wait.
    pub(super) fn admit_waiting(self: &Arc<Self>, index: usize) {
        let server = &self.servers[index];
        while !self.waiting.is_empty() && server.share(now) > 0 && server.enter() {
            let next = {
                let mut queue = self.waiting.lock();
                let next = queue.waiters.pop_front();
                self.waiting.publish(&queue);
                next
            };
            let Some(next) = next else {
                server.leave();
                continue;
            };
            let permit = Permit {
                pool: Some(self.clone()),
                index,
            };
            if let Err(permit) = next.sender.send(permit) {
                // It no longer waits.
                permit.redeem();
                server.leave();
            }
        }
    }
}
