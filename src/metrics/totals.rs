//! Sums of counters over threads, workers and generations. A site is known by its name, so its counters go on when a
//! configuration moves it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::counters::{GAUGES, GLOBAL_WORDS, Global, SITE_BYTES, SITE_WORDS, block_words};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub struct Totals {
    global: [u64; GLOBAL_WORDS],
    sites: BTreeMap<String, [u64; SITE_WORDS]>,
}

/// As it is written down: a version with more or fewer words can read it.
#[derive(Serialize, Deserialize)]
struct Record {
    global: Vec<u64>,
    sites: BTreeMap<String, Vec<u64>>,
}

impl From<Totals> for Record {
    fn from(totals: Totals) -> Self {
        let sites = totals.sites.into_iter();
        Self {
            global: totals.global.to_vec(),
            sites: sites.map(|(name, words)| (name, words.to_vec())).collect(),
        }
    }
}

impl From<Record> for Totals {
    fn from(record: Record) -> Self {
        let sites = record.sites.into_iter();
        Self {
            global: fitted(&record.global),
            sites: sites.map(|(name, words)| (name, fitted(&words))).collect(),
        }
    }
}

fn fitted<const WORDS: usize>(words: &[u64]) -> [u64; WORDS] {
    std::array::from_fn(|index| words.get(index).copied().unwrap_or_default())
}

impl Totals {
    /// Adds a worker's page; `sites` are the names of its configuration, in order.
    pub fn add_page<'a>(
        &mut self,
        page: &[AtomicU64],
        sites: impl ExactSizeIterator<Item = &'a str> + Clone,
    ) {
        for block in page.chunks_exact(block_words(sites.len())) {
            add(&mut self.global, &block[..GLOBAL_WORDS]);
            let words = block[GLOBAL_WORDS..].chunks_exact(SITE_WORDS);
            for (name, words) in sites.clone().zip(words) {
                self.add_site(name, words);
            }
        }
    }

    fn add_site(&mut self, name: &str, words: &[AtomicU64]) {
        if words.iter().all(|word| word.load(Ordering::Relaxed) == 0) {
            return;
        }
        match self.sites.get_mut(name) {
            Some(sums) => add(sums, words),
            None => add(self.sites.entry(name.to_owned()).or_default(), words),
        }
    }

    /// What stays of workers that are gone: everything but the gauges.
    pub fn without_gauges(mut self) -> Self {
        for gauge in GAUGES {
            self.global[gauge as usize] = 0;
        }
        self
    }

    pub fn global(&self, word: Global) -> u64 {
        self.global[word as usize]
    }

    /// Sites that were ever asked for anything, by name.
    pub fn sites(&self) -> impl Iterator<Item = (&str, &[u64; SITE_WORDS])> {
        self.sites
            .iter()
            .map(|(name, words)| (name.as_str(), words))
    }
}

/// One gauge of one worker's page, summed over its threads.
pub fn gauge(page: &[AtomicU64], sites: usize, word: Global) -> u64 {
    page.chunks_exact(block_words(sites)).fold(0, |sum, block| {
        sum.wrapping_add(block[word as usize].load(Ordering::Relaxed))
    })
}

/// The requests to all sites that one worker has answered.
pub fn requests(page: &[AtomicU64], sites: usize) -> u64 {
    let blocks = page.chunks_exact(block_words(sites));
    let of_sites = blocks.flat_map(|block| block[GLOBAL_WORDS..].chunks_exact(SITE_WORDS));
    let words = of_sites.flat_map(|site| &site[..SITE_BYTES]);
    words.fold(0, |sum, word| {
        sum.wrapping_add(word.load(Ordering::Relaxed))
    })
}

fn add(sums: &mut [u64], words: &[AtomicU64]) {
    for (sum, word) in sums.iter_mut().zip(words) {
        *sum = sum.wrapping_add(word.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::counters::{Recorder, SITE_BYTES, page_words};

    fn page(threads: usize, sites: usize) -> &'static [AtomicU64] {
        Vec::leak(
            (0..page_words(threads, sites))
                .map(|_| AtomicU64::new(0))
                .collect(),
        )
    }

    #[test]
    fn threads_and_configurations_add_up_by_name() {
        let (old, new) = (page(2, 2), page(1, 1));
        for thread in 0..2 {
            Recorder::new(old, thread, 2).request(1, 200);
        }
        Recorder::new(new, 0, 1).request(0, 200);
        Recorder::new(new, 0, 1).site(0, SITE_BYTES, 7);
        assert_eq!((requests(old, 2), requests(new, 1)), (2, 1));
        let mut totals = Totals::default();
        totals.add_page(old, ["a", "b"].into_iter());
        totals.add_page(new, ["b"].into_iter());
        let sites: Vec<_> = totals.sites().collect();
        assert_eq!(sites, [("b", &[0, 3, 0, 0, 0, 7, 0, 0])]);
    }

    #[test]
    fn totals_are_read_by_versions_with_other_words() {
        let text = r#"{"global":[1,2],"sites":{"a":[3,4,5,6,7,8,9,10,11]}}"#;
        let totals: Totals = serde_json::from_str(text).unwrap();
        assert_eq!(totals.global(Global::ConnectionsOpen), 2);
        assert_eq!(totals.sites["a"], [3, 4, 5, 6, 7, 8, 9, 10]);
        let again = serde_json::to_string(&totals).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&again).unwrap(), totals);
    }

    #[test]
    fn only_gauges_vanish_with_their_process() {
        let page = page(1, 0);
        let recorder = Recorder::new(page, 0, 0);
        recorder.add(Global::ConnectionsOpen, 3);
        recorder.add(Global::ConnectionsAccepted, 5);
        let mut totals = Totals::default();
        totals.add_page(page, std::iter::empty());
        assert_eq!(gauge(page, 0, Global::ConnectionsOpen), 3);
        let retired = totals.without_gauges();
        assert_eq!(retired.global(Global::ConnectionsOpen), 0);
        assert_eq!(retired.global(Global::ConnectionsAccepted), 5);
    }
}
