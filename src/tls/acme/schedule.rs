//! Which site's certificate is ordered when. No I/O: time and chance come from outside.

mod entry;
mod pace;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use self::entry::Entry;
pub use self::entry::{Held, Phase};
pub use self::pace::Seconds;
use self::pace::{Pause, backoff};
use super::failure::{Failure, Scope};
use super::order::Issued;
use super::renewal::Suggestion;
use crate::config::types::{Acme, Certificate, Config, Site};

/// Orders at a time: each may keep a thread busy that looks for an address.
const AT_A_TIME: usize = 2;

/// The sites whose certificates BWS gets by itself, and what is under way for them.
#[derive(Debug, Default)]
pub struct Schedule {
    sites: BTreeMap<String, Entry>,
    /// By directory: authorities that are left alone for a while.
    pauses: HashMap<String, Pause>,
    /// Sites in the order in which something is due for them.
    queue: BTreeSet<(Seconds, String)>,
    running: usize,
}

/// What is to be begun now.
#[derive(Debug)]
pub struct Task {
    pub site: String,
    pub acme: Acme,
    /// The certificate in force, DER.
    pub leaf: Option<Vec<u8>>,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Order,
    /// Ask the authority when it wants the certificate to be renewed.
    Ask,
}

impl Schedule {
    /// Takes in the configuration that is in force now, and returns the sites whose task is to be dropped: they are
    /// gone, or ask for something else. With `impatient`, what failed is tried again at once.
    pub fn adopt(&mut self, config: &Config, now: Seconds, impatient: bool) -> Vec<String> {
        let mut before = std::mem::take(&mut self.sites);
        let mut dropped = Vec::new();
        for (site, acme, certificate) in automatic(config) {
            let earlier = before.remove(&site.name);
            let kept = earlier.filter(|earlier| {
                let same = earlier.acme == *acme;
                if !same && earlier.is_running() {
                    dropped.push(site.name.clone());
                }
                same
            });
            let mut entry = kept.unwrap_or_else(|| Entry::new(acme.clone(), &site.name));
            entry.adopt(Held::of(&certificate), now);
            if impatient {
                entry.hurry(now);
            }
            self.sites.insert(site.name.clone(), entry);
        }
        let gone = before.into_iter().filter(|(_, entry)| entry.is_running());
        dropped.extend(gone.map(|(site, _)| site));
        if impatient {
            self.pauses.clear();
        }
        self.running = self
            .sites
            .values()
            .filter(|entry| entry.is_running())
            .count();
        let waiting = self
            .sites
            .iter()
            .filter_map(|(site, entry)| Some((entry.due()?, site.clone())));
        self.queue = waiting.collect();
        dropped
    }

    /// The next task that is due, which counts as begun.
    pub fn begin(&mut self, now: Seconds) -> Option<Task> {
        while self.running < AT_A_TIME {
            let (due, site) = self.queue.first()?.clone();
            if due > now {
                return None;
            }
            self.queue.pop_first();
            let entry = self.sites.get_mut(&site)?;
            let pause = self.pauses.get(&entry.acme.directory_url);
            if let Some(pause) = pause.filter(|pause| pause.until > now) {
                entry.postpone(pause.until);
                self.queue.insert((pause.until, site));
                continue;
            }
            let kind = entry.begin(now);
            self.running += 1;
            return Some(Task {
                acme: entry.acme.clone(),
                leaf: entry.held.as_ref().map(|held| held.leaf.clone()),
                kind,
                site,
            });
        }
        None
    }

    /// An order came to its end. `chance` is anything between 0 and 1.
    pub fn ordered(
        &mut self,
        site: &str,
        outcome: Result<Issued, Failure>,
        now: Seconds,
        chance: f64,
    ) {
        self.end(site, now, chance, |entry, pause| match outcome {
            Ok(issued) => {
                entry.issued(issued, now);
                None
            }
            Err(failure) => {
                entry.failed(failure.text, failure.scope, now, chance);
                matches!(
                    failure.scope,
                    Scope::Authority | Scope::Account | Scope::Passing
                )
                .then(|| pause.map_or(Pause::first(), Pause::next))
            }
        });
    }

    /// The authority was asked about a renewal.
    pub fn asked(
        &mut self,
        site: &str,
        outcome: Result<Option<Suggestion>, Failure>,
        now: Seconds,
        chance: f64,
    ) {
        self.end(site, now, chance, |entry, _| {
            entry.suggested(outcome.ok().flatten(), now, chance);
            None
        });
    }

    /// `change` says whether the authority is to be left alone.
    fn end(
        &mut self,
        site: &str,
        now: Seconds,
        chance: f64,
        change: impl FnOnce(&mut Entry, Option<Pause>) -> Option<Pause>,
    ) {
        let Some(entry) = self.sites.get_mut(site).filter(|entry| entry.is_running()) else {
            return;
        };
        self.running = self.running.saturating_sub(1);
        let directory = entry.acme.directory_url.clone();
        match change(entry, self.pauses.get(&directory).copied()) {
            Some(mut pause) => {
                pause.until = now + backoff(pause.failures, chance);
                self.pauses.insert(directory, pause);
            }
            None if entry.error.is_none() => drop(self.pauses.remove(&directory)),
            None => {}
        }
        if let Some(due) = entry.due() {
            self.queue.insert((due, site.to_owned()));
        }
    }

    /// When something is due next; None while as much is under way as may be.
    pub fn next(&self) -> Option<Seconds> {
        let first = self.queue.first().map(|(due, _)| *due);
        first.filter(|_| self.running < AT_A_TIME)
    }

    /// Whether nothing is under way, and nothing about to be.
    pub fn is_idle(&self, now: Seconds) -> bool {
        self.running == 0 && self.queue.first().is_none_or(|(due, _)| *due > now)
    }

    /// Sites whose new certificate is not served yet.
    pub fn unserved(&self) -> BTreeSet<String> {
        let unserved = self.sites.iter().filter(|(_, entry)| entry.is_unserved());
        unserved.map(|(site, _)| site.clone()).collect()
    }

    pub fn has_certificate(&self, site: &str) -> bool {
        self.sites
            .get(site)
            .is_some_and(|entry| entry.held.is_some())
    }

    /// How it stands with a site.
    pub fn phase(&self, site: &str) -> Option<Phase> {
        self.sites.get(site).map(Entry::phase)
    }
}

/// The sites of a configuration that get their certificate by themselves.
fn automatic(config: &Config) -> impl Iterator<Item = (&Site, &Acme, Arc<Certificate>)> {
    config.sites.iter().filter_map(|site| {
        let tls = site.tls.as_ref()?;
        let certificate = config.certificates.find(tls.certificate)?;
        Some((site, tls.acme.as_deref()?, certificate))
    })
}

#[cfg(test)]
mod tests;
