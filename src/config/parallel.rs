//! Independent pieces of work, spread over the CPUs.

use std::num::NonZero;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, Builder, ScopedJoinHandle};

/// More threads than this gain nothing: what follows is done by one.
const MOST: usize = 16;

/// How many threads [`map`] uses at most, the caller's among them.
pub(super) fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| {
        thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(MOST)
    })
}

/// Does `work` on each piece; the results are in the order of the pieces. Where no thread can be started, the caller's
/// own does everything.
pub(super) fn map<T: Send, R: Send>(pieces: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let helpers = threads().min(pieces.len()).saturating_sub(1);
    if helpers == 0 {
        return pieces.into_iter().map(work).collect();
    }
    let queue = Mutex::new(pieces.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let labour = || -> Vec<(usize, R)> {
        std::iter::from_fn(|| next().map(|(number, piece)| (number, work(piece)))).collect()
    };
    let mut done = thread::scope(|scope| {
        let start = |_| Builder::new().spawn_scoped(scope, labour).ok();
        let helpers: Vec<_> = (0..helpers).filter_map(start).collect();
        let mut done = labour();
        for helper in helpers {
            done.extend(
                helper
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does both at once; where no thread can be started, one after the other.
pub(crate) fn both<A, B: Send>(here: impl FnOnce() -> A, there: impl Fn() -> B + Sync) -> (A, B) {
    thread::scope(|scope| {
        let helper = Builder::new().spawn_scoped(scope, &there);
        let result = here();
        let other = match helper.map(ScopedJoinHandle::join) {
            Ok(Ok(other)) => other,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => there(),
        };
        (result, other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_and_in_order() {
        for count in [0, 1, 2, 1000] {
            let pieces: Vec<String> = (0..count).map(|number: usize| number.to_string()).collect();
            let expected: Vec<usize> = (0..count).collect();
            assert_eq!(map(pieces, |text| text.parse::<usize>().unwrap()), expected);
        }
    }
}
