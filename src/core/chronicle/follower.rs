//! One who reads along. Nothing is queued for it: it has a place among the events that are kept, and who falls behind
//! them is told so.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Chronicle, Entry};

/// Events that are handed out at once.
const BATCH: usize = 32;

/// Counted as long as it lives.
pub struct Follower {
    chronicle: Chronicle,
    number: u64,
    /// The event that it wants next.
    next: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum News {
    Told(Vec<Arc<Entry>>),
    /// What came after event `after` is not known any more, or never was; it goes on with `first`.
    Lost {
        after: u64,
        first: u64,
    },
}

impl Follower {
    pub(super) fn new(chronicle: Chronicle, number: u64, next: u64) -> Self {
        Self {
            chronicle,
            number,
            next,
        }
    }

    /// The number of the event that came last for it.
    pub fn position(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// None: it is over.
    pub fn poll_news(&mut self, context: &Context<'_>) -> Poll<Option<News>> {
        let mut inner = self.chronicle.inner();
        let (first, next) = (inner.first(), inner.next);
        if self.next < first || self.next > next {
            let after = self.position();
            drop(inner);
            self.next = first;
            return Poll::Ready(Some(News::Lost { after, first }));
        }
        let read = usize::try_from(self.next - first).unwrap_or(usize::MAX);
        let unread = inner.entries.iter().skip(read).take(BATCH);
        let entries: Vec<_> = unread.cloned().collect();
        if let Some(last) = entries.last() {
            let next = last.id + 1;
            drop(inner);
            self.next = next;
            return Poll::Ready(Some(News::Told(entries)));
        }
        if !inner.open {
            return Poll::Ready(None);
        }
        if let Some(place) = inner.followers.get_mut(&self.number) {
            place.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.chronicle.inner().followers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::super::{FOLLOWERS, KEPT, Side};
    use super::*;

    fn news(follower: &mut Follower) -> Poll<Option<News>> {
        follower.poll_news(&Context::from_waker(Waker::noop()))
    }

    fn told(chronicle: &Chronicle, numbers: &[u64]) -> Poll<Option<News>> {
        let mut entries = chronicle.latest(usize::MAX);
        entries.retain(|entry| numbers.contains(&entry.id));
        entries.reverse();
        assert_eq!(entries.len(), numbers.len());
        Poll::Ready(Some(News::Told(entries)))
    }

    #[test]
    fn who_comes_back_gets_what_it_missed() {
        let chronicle = Chronicle::begin_at(1);
        for name in ["a", "b", "c"] {
            chronicle.tell(name, "{}".into());
        }
        let mut late = chronicle.follow(Side::Socket, Some(1)).unwrap();
        assert_eq!(news(&mut late), told(&chronicle, &[2, 3]));
        let mut fresh = chronicle.follow(Side::Socket, None).unwrap();
        assert_eq!(fresh.position(), 3);
        for follower in [&mut late, &mut fresh] {
            assert_eq!(news(follower), Poll::Pending);
        }
        chronicle.tell("d", "{}".into());
        for follower in [&mut late, &mut fresh] {
            assert_eq!(news(follower), told(&chronicle, &[4]));
        }
    }

    #[test]
    fn what_is_gone_is_said() {
        let chronicle = Chronicle::begin_at(10);
        let mut slow = chronicle.follow(Side::Socket, None).unwrap();
        for _ in 0..KEPT + 5 {
            chronicle.tell("a", "{}".into());
        }
        let lost = |after| Poll::Ready(Some(News::Lost { after, first: 15 }));
        assert_eq!(news(&mut slow), lost(9));
        assert!(matches!(news(&mut slow), Poll::Ready(Some(News::Told(some))) if some[0].id == 15));
        // Numbers of another server, or made up.
        for after in [0, 3, 999_999, u64::MAX - 1] {
            let mut stranger = chronicle.follow(Side::Socket, Some(after)).unwrap();
            assert_eq!(news(&mut stranger), lost(after));
            assert!(matches!(
                news(&mut stranger),
                Poll::Ready(Some(News::Told(_)))
            ));
        }
    }

    #[test]
    fn followers_are_few_on_each_side() {
        let chronicle = Chronicle::begin();
        let all: Vec<_> = (0..FOLLOWERS)
            .map(|_| chronicle.follow(Side::Tcp, None).unwrap())
            .collect();
        assert!(chronicle.follow(Side::Tcp, None).is_none());
        assert!(chronicle.follow(Side::Socket, None).is_some());
        drop(all);
        assert_eq!(chronicle.followers(), 0);
        assert!(chronicle.follow(Side::Tcp, None).is_some());
    }

    #[test]
    fn the_end_comes_after_the_last_event() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let chronicle = Chronicle::begin();
        let mut follower = chronicle.follow(Side::Socket, None).unwrap();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = count.clone().into();
        let waiting = follower.poll_news(&Context::from_waker(&waker));
        assert_eq!(waiting, Poll::Pending);
        chronicle.tell("last", "{}".into());
        chronicle.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(matches!(
            news(&mut follower),
            Poll::Ready(Some(News::Told(_)))
        ));
        assert_eq!(news(&mut follower), Poll::Ready(None));
        assert_eq!(
            news(&mut chronicle.follow(Side::Socket, None).unwrap()),
            Poll::Ready(None)
        );
        chronicle.open();
        assert_eq!(news(&mut follower), Poll::Pending);
    }
}
