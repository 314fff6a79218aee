//! Certificates that expire soon, told to the operator: each once a day, and few of many by themselves.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use serde_json::json;

use super::Master;
use super::certificates::date;
use crate::core::journal;

/// An operator has this much time to act.
const WARN_BEFORE: i64 = 14 * 86_400;
/// So many have an event of their own; of more than that the rest shares one. Many would push everything else out of
/// what is kept of events.
const SINGLY: usize = 20;
/// Certificates that the event for the rest lists at most.
const LISTED: usize = 100;

/// What was told today.
#[derive(Default)]
pub(super) struct Told(HashSet<Term>);

/// A certificate of a file. A renewed one is another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Term {
    file: PathBuf,
    /// Seconds since the epoch.
    not_after: i64,
}

/// With the first of its sites.
struct Expiring {
    site: String,
    term: Term,
}

impl Master {
    /// Those that were not told today.
    pub(super) fn warn_of_certificates(&mut self) {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let soon = self.expiring(i64::try_from(now).unwrap_or(i64::MAX));
        tell(&self.told.news(soon));
    }

    /// A day is over.
    pub(super) fn warn_of_certificates_again(&mut self) {
        self.told = Told::default();
        self.warn_of_certificates();
    }

    fn expiring(&self, now: i64) -> Vec<Expiring> {
        let soon = self.certified().filter(|(_, certificate)| {
            // What BWS renews by itself is worth a word only when that did not work for long.
            let life = certificate.not_after.saturating_sub(certificate.not_before);
            let limit = match certificate.authority {
                Some(_) => WARN_BEFORE.min(life / 6),
                None => WARN_BEFORE,
            };
            certificate.not_after.saturating_sub(now) < limit
        });
        soon.map(|(site, certificate)| Expiring {
            site: site.name.clone(),
            term: Term {
                file: certificate.cert_file.clone(),
                not_after: certificate.not_after,
            },
        })
        .collect()
    }
}

impl Told {
    /// Those of `soon` that are new, the most urgent first, each once whatever the number of its sites. What is no longer
    /// among them is forgotten.
    fn news(&mut self, soon: Vec<Expiring>) -> Vec<Expiring> {
        let before = std::mem::take(&mut self.0);
        let mut news = soon;
        news.retain(|it| self.0.insert(it.term.clone()) && !before.contains(&it.term));
        news.sort_by_key(|it| it.term.not_after);
        news
    }
}

fn tell(news: &[Expiring]) {
    let (first, rest) = news.split_at(news.len().min(SINGLY));
    for Expiring { site, term } in first {
        let file = term.file.display().to_string();
        journal::certificate_expiring(site, &file, &date(term.not_after));
    }
    if let Some(next) = rest.first() {
        let list = rest.iter().take(LISTED).map(|it| {
            json!({
                "site": it.site,
                "file": it.term.file.display().to_string(),
                "not_after": date(it.term.not_after),
            })
        });
        journal::certificates_expiring(rest.len(), &date(next.term.not_after), list.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiring(pairs: &[(&str, i64)]) -> Vec<Expiring> {
        let one = |&(file, not_after): &(&str, i64)| Expiring {
            site: file.to_owned(),
            term: Term {
                file: file.into(),
                not_after,
            },
        };
        pairs.iter().map(one).collect()
    }

    #[test]
    fn each_is_told_once_until_it_is_another() {
        let mut told = Told::default();
        let mut news = |pairs: &[(&str, i64)]| {
            let news = told.news(expiring(pairs));
            news.into_iter().map(|it| it.site).collect::<Vec<_>>()
        };
        assert_eq!(
            news(&[("a", 3), ("b", 1), ("a", 3), ("c", 2)]),
            ["b", "c", "a"]
        );
        assert!(news(&[("a", 3), ("b", 1), ("c", 2)]).is_empty());
        assert_eq!(news(&[("a", 4), ("b", 1), ("d", 9)]), ["a", "d"]);
        assert_eq!(news(&[("b", 1), ("c", 2)]), ["c"]);
    }
}
