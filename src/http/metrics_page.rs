//! The page of `monitoring.metrics_endpoint`: the master makes it of the counters of all workers.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

/// Younger than this it is shown again: however many ask, the master has other things to do.
const FRESH: Duration = Duration::from_secs(1);
/// A master that says nothing for so long is gone, or busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// The newest page, and who asks for another.
#[derive(Default)]
pub struct MetricsPage {
    newest: watch::Sender<Option<(Instant, Bytes)>>,
    /// An answer is on its way.
    asked: AtomicBool,
    ask: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl MetricsPage {
    /// `ask` is called when a page is wanted; it is to come by [`Self::show`].
    pub fn listen(&self, ask: impl Fn() + Send + Sync + 'static) {
        // Once for a worker.
        let _ = self.ask.set(Box::new(ask));
    }

    /// Here is a page; None: there is none.
    pub fn show(&self, page: Option<Bytes>) {
        self.asked.store(false, Ordering::Release);
        self.newest
            .send_replace(page.map(|page| (Instant::now(), page)));
    }

    /// None when there is none in time.
    pub(super) async fn read(&self) -> Option<Bytes> {
        let mut pages = self.newest.subscribe();
        if let Some((since, page)) = &*pages.borrow_and_update() {
            if since.elapsed() < FRESH {
                return Some(page.clone());
            }
        }
        if !self.asked.swap(true, Ordering::AcqRel) {
            self.ask.get()?();
        }
        let changed = tokio::time::timeout(PATIENCE, pages.changed()).await;
        changed.ok()?.ok()?;
        let newest = pages.borrow();
        newest.as_ref().map(|(_, page)| page.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test]
    async fn who_asks_together_or_soon_after_costs_one_page() {
        let (page, asked) = (
            Arc::new(MetricsPage::default()),
            Arc::new(AtomicU32::new(0)),
        );
        assert_eq!(page.read().await, None);
        page.show(None);
        let (board, count) = (page.clone(), asked.clone());
        page.listen(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let board = board.clone();
            tokio::spawn(async move { board.show(Some(Bytes::from_static(b"up 1"))) });
        });
        let (first, second) = tokio::join!(page.read(), page.read());
        assert_eq!(first.as_deref(), Some(&b"up 1"[..]));
        assert_eq!((&first, &first), (&second, &page.read().await));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
