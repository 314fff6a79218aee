//! What compression may cost a thread: memory of streams under way, and of bodies that are kept compressed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;

use super::encoder::{Encoder, Strength};
use crate::config::types::Algorithm;
use crate::http::static_files::Stamp;

/// Memory of all streams under way; beyond it bodies go out as they are.
const MAX_UNDER_WAY: usize = 64 << 20;
/// Memory of all kept bodies.
const MAX_KEPT: usize = 16 << 20;
/// The longest that is kept.
const MAX_KEPT_BODY: usize = 1 << 20;
/// Of each, beside its bytes.
const OVERHEAD: usize = 256;

/// The compressors of a thread.
#[derive(Clone, Default)]
pub(in crate::http) struct Compressors(Rc<Shared>);

#[derive(Default)]
struct Shared {
    under_way: Cell<usize>,
    kept: RefCell<Kept>,
}

/// A part of the memory that streams may take; given back when dropped.
pub(in crate::http) struct Share {
    compressors: Compressors,
    size: usize,
}

/// A state of a file, and what was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) struct StoreKey {
    stamp: Stamp,
    algorithm: Algorithm,
    level: u8,
}

impl StoreKey {
    pub(in crate::http) fn new(stamp: Stamp, algorithm: Algorithm, strength: Strength) -> Self {
        Self {
            stamp,
            algorithm,
            level: strength.of(algorithm),
        }
    }
}

impl Compressors {
    /// None when too many streams are under way.
    pub(super) fn admit(&self, algorithm: Algorithm, length: Option<u64>) -> Option<Share> {
        let size = Encoder::cost(algorithm, length);
        let under_way = self.0.under_way.get() + size;
        (under_way <= MAX_UNDER_WAY).then(|| {
            self.0.under_way.set(under_way);
            Share {
                compressors: self.clone(),
                size,
            }
        })
    }

    /// A body that was compressed before.
    pub(in crate::http) fn find(&self, key: &StoreKey) -> Option<Bytes> {
        let mut kept = self.0.kept.borrow_mut();
        let body = kept.bodies.get_mut(key)?;
        body.used = true;
        Some(body.bytes.clone())
    }

    /// Keeps a compressed body; an empty one says that it is not worth it.
    pub(in crate::http) fn keep(&self, key: StoreKey, bytes: Bytes) {
        if Self::may_keep(bytes.len()) {
            self.0.kept.borrow_mut().put(key, bytes);
        }
    }

    pub(super) fn may_keep(length: usize) -> bool {
        length <= MAX_KEPT_BODY
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let under_way = &self.compressors.0.under_way;
        under_way.set(under_way.get() - self.size);
    }
}

#[derive(Default)]
struct Kept {
    bodies: HashMap<StoreKey, Body>,
    /// Oldest first; those used since they were put in go round once more.
    order: VecDeque<StoreKey>,
    bytes: usize,
}

struct Body {
    bytes: Bytes,
    used: bool,
}

impl Kept {
    fn put(&mut self, key: StoreKey, bytes: Bytes) {
        self.bytes += bytes.len() + OVERHEAD;
        match self.bodies.insert(key, Body { bytes, used: false }) {
            Some(before) => self.bytes -= before.bytes.len() + OVERHEAD,
            None => self.order.push_back(key),
        }
        while self.bytes > MAX_KEPT {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            match self.bodies.get_mut(&oldest) {
                Some(body) if body.used => {
                    body.used = false;
                    self.order.push_back(oldest);
                }
                _ => self.forget(&oldest),
            }
        }
    }

    fn forget(&mut self, key: &StoreKey) {
        if let Some(body) = self.bodies.remove(key) {
            self.bytes -= body.bytes.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> StoreKey {
        let stamp = Stamp::of_size(number);
        StoreKey::new(stamp, Algorithm::Br, Strength::of_level(6))
    }

    #[test]
    fn streams_under_way_are_bounded() {
        let compressors = Compressors::default();
        let admit = || compressors.admit(Algorithm::Zstd, None);
        let mut shares: Vec<_> = std::iter::from_fn(admit).collect();
        assert_eq!(shares.len(), MAX_UNDER_WAY / (2 << 20));
        shares.pop();
        assert!(admit().is_some());
        drop(shares);
        assert_eq!(compressors.0.under_way.get(), 0);
    }

    #[test]
    fn kept_bodies_are_bounded_and_those_in_use_stay() {
        let compressors = Compressors::default();
        let body = Bytes::from(vec![0; 1 << 20]);
        for number in 0..100 {
            compressors.keep(key(number), body.clone());
            assert!(compressors.find(&key(0)).is_some(), "{number}");
        }
        assert!(compressors.find(&key(50)).is_none());
        assert!(compressors.0.kept.borrow().bytes <= MAX_KEPT);
        compressors.keep(key(200), Bytes::from(vec![0; (1 << 20) + 1]));
        assert!(compressors.find(&key(200)).is_none());
    }
}
