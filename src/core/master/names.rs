//! What the names of upstreams stand for, as workers found out: shown to operators, and told to every new worker. So a
//! reload needs no name server.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Master;
use super::upstreams::UpstreamOutline;
use crate::dns::{Meaning, Target, Word};
use crate::ipc::message::{PROTOCOL, ToWorker, WorkerId};
use crate::ipc::names::in_packets;

/// By name, as it is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Names(BTreeMap<String, Meaning>);

impl Names {
    fn learn(&mut self, words: Vec<Word>) {
        for Word { name, meaning } in words {
            let hosts = hosts(&meaning);
            if let Some(before) = self.0.insert(name, meaning) {
                let left = self::hosts(&before);
                for host in left.difference(&hosts) {
                    self.0.remove(host);
                }
            }
        }
    }

    /// In text form, if any.
    pub(super) fn addresses(&self, host: &str) -> Vec<String> {
        match self.0.get(host) {
            Some(Meaning::Addresses(addresses)) => {
                addresses.iter().map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Of a service, if any are known.
    pub(super) fn targets(&self, service: &str) -> &[Target] {
        match self.0.get(service) {
            Some(Meaning::Targets(targets)) => targets,
            _ => &[],
        }
    }

    /// Forgets what none of `upstreams` needs.
    fn retain<'a>(&mut self, upstreams: impl Iterator<Item = &'a UpstreamOutline>) {
        let mut used: HashSet<String> = upstreams.map(|it| it.host().to_owned()).collect();
        let services = self.0.iter().filter(|(name, _)| used.contains(*name));
        let targets: Vec<String> = services.flat_map(|(_, it)| hosts(it)).collect();
        used.extend(targets);
        self.0.retain(|name, _| used.contains(name));
    }

    fn words(&self) -> impl Iterator<Item = Word> {
        self.0.iter().map(|(name, meaning)| Word {
            name: name.clone(),
            meaning: meaning.clone(),
        })
    }
}

/// Of a service's targets.
fn hosts(meaning: &Meaning) -> HashSet<String> {
    match meaning {
        Meaning::Targets(targets) => targets.iter().map(|it| it.host.clone()).collect(),
        Meaning::Addresses(_) => HashSet::new(),
    }
}

impl Master {
    pub(super) fn names_learned(&mut self, words: Vec<Word>) {
        self.names.learn(words);
    }

    /// A worker that begins to accept.
    pub(super) fn tell_names_to(&self, worker: WorkerId) {
        let process = self.workers.get(&worker);
        let generation = process.and_then(|process| self.generations.get(&process.generation));
        // One that another program started may not know this word.
        if generation.is_none_or(|generation| generation.protocol() != PROTOCOL) {
            return;
        }
        for names in in_packets(self.names.words()) {
            self.tell(worker, ToWorker::Inherit { names });
        }
    }

    /// A configuration is in force.
    pub(super) fn forget_names(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        if let Some(active) = self.active() {
            let sites = active.outline.sites.iter();
            names.retain(sites.flat_map(|site| &site.upstreams));
        }
        self.names = names;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(hosts: &[&str]) -> Meaning {
        let target = |host: &&str| Target {
            priority: 1,
            weight: 1,
            host: (*host).to_owned(),
            port: 80,
        };
        Meaning::Targets(hosts.iter().map(target).collect())
    }

    fn word(name: &str, meaning: Meaning) -> Word {
        Word {
            name: name.to_owned(),
            meaning,
        }
    }

    #[test]
    fn hosts_that_left_a_service_are_forgotten() {
        let mut names = Names::default();
        let addresses = || Meaning::Addresses(vec![[127, 0, 0, 1].into()]);
        names.learn(vec![
            word("_x._tcp.test", targets(&["a.test.", "b.test."])),
            word("a.test.", addresses()),
            word("b.test.", addresses()),
        ]);
        names.learn(vec![word("_x._tcp.test", targets(&["b.test."]))]);
        assert!(names.addresses("a.test.").is_empty());
        assert_eq!(names.addresses("b.test."), ["127.0.0.1"]);
        assert_eq!(names.targets("_x._tcp.test").len(), 1);
        names.retain([].into_iter());
        assert!(names.words().next().is_none());
    }
}
