//! What the master tells those who ask: status, checks, the watcher of files.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::oneshot;

use super::generation::{Outline, SiteOutline};
use super::{Input, Master, Resources, load};
use crate::config::types::{ListenAddress, Listener};
use crate::core::journal;
use crate::core::report::{CheckReport, GenerationStatus, SiteStatus, Status, WorkerStatus};
use crate::core::supervisor::worker::State;
use crate::core::worker_process::WorkerProcess;
use crate::ipc::message::{Generation, version};
use crate::metrics::counters::{Global, SITE_BYTES};
use crate::metrics::totals::requests;

impl Master {
    pub(super) fn status(&self) -> Status {
        let active = self.active();
        let outline = active.map(|active| &active.outline);
        let config = active.and_then(|active| active.config.as_deref());
        Status {
            name: config
                .map_or("BWS", |config| &config.server.name)
                .to_owned(),
            version: version().into(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            state: self.state_name().into(),
            config_file: self.options.source.path().display().to_string(),
            config_version: self.supervisor.version(),
            config_hash: outline
                .map(|outline| outline.hash.clone())
                .unwrap_or_default(),
            sites: outline
                .map(|outline| self.site_statuses(outline))
                .unwrap_or_default(),
            listeners: outline
                .map(|outline| outline.listeners.clone())
                .unwrap_or_default(),
            upstreams: self.upstream_counts(),
            generations: self.generation_statuses(),
            reloads: self.figures.reloads,
            last_reload: self.last_reload.clone(),
        }
    }

    fn site_statuses(&self, outline: &Outline) -> Vec<SiteStatus> {
        let totals = self.totals();
        let requests: HashMap<&str, u64> = totals
            .sites()
            .map(|(name, words)| (name, words[..SITE_BYTES].iter().sum()))
            .collect();
        let status = |site: &SiteOutline| SiteStatus {
            name: site.name.clone(),
            listener: site.listener.clone(),
            hostnames: site.hostnames.clone(),
            requests: requests
                .get(site.name.as_str())
                .copied()
                .unwrap_or_default(),
        };
        outline.sites.iter().map(status).collect()
    }

    fn state_name(&self) -> &'static str {
        match () {
            () if self.supervisor.is_stopping() => "stopping",
            () if self.supervisor.active_generation().is_none() => "starting",
            () if self.supervisor.is_reloading() => "reloading",
            () => "serving",
        }
    }

    fn generation_statuses(&self) -> Vec<GenerationStatus> {
        let mut workers: BTreeMap<Generation, Vec<WorkerStatus>> = BTreeMap::new();
        for (id, record) in self.supervisor.workers() {
            let Some(process) = self.workers.get(&id) else {
                continue;
            };
            let Some(resources) = self.generations.get(&process.generation) else {
                continue;
            };
            let status = worker_status(id.0, record.state, process, resources.outline.sites.len());
            workers.entry(process.generation).or_default().push(status);
        }
        let status = |(generation, resources): (&Generation, &Resources)| GenerationStatus {
            generation: generation.0,
            config_version: resources.version,
            state: self.generation_state(*generation).into(),
            workers: workers.remove(generation).unwrap_or_default(),
        };
        self.generations.iter().map(status).collect()
    }

    fn generation_state(&self, generation: Generation) -> &'static str {
        match Some(generation) {
            one if one == self.supervisor.active_generation() => "active",
            one if one == self.supervisor.candidate_generation() => "starting",
            _ => "draining",
        }
    }

    pub(super) fn check(&self, reply: oneshot::Sender<CheckReport>) {
        let (source, verbose) = (self.options.source.clone(), self.options.verbose);
        let old = self.active().and_then(|active| active.config.clone());
        tokio::task::spawn_blocking(move || {
            let report = match load::check(&source, verbose, old.as_deref()) {
                Ok((details, _)) => CheckReport {
                    valid: true,
                    details,
                },
                Err(details) => CheckReport {
                    valid: false,
                    details: *details,
                },
            };
            let _ = reply.send(report);
        });
    }

    /// Looks whether what changed in the watched folders makes another, valid configuration.
    pub(super) fn sources_touched(&self) {
        let (source, inputs) = (self.options.source.clone(), self.inputs.clone());
        let old = self.active().and_then(|active| active.config.clone());
        tokio::task::spawn_blocking(move || {
            let result = load::hash(&source, old.as_deref());
            let _ = inputs.blocking_send(Input::SourcesChecked(result));
        });
    }

    pub(super) fn sources_checked(&mut self, result: Result<String, String>) {
        match result {
            Ok(hash) => {
                self.watch_complaint = None;
                let differs = self
                    .active()
                    .is_some_and(|active| active.outline.hash != hash);
                let tried = self.watch_tried.as_ref() == Some(&hash);
                // A reload that is under way looks again when it ends.
                if differs && !tried && self.watch.is_some() && !self.supervisor.is_reloading() {
                    self.watch_tried = Some(hash);
                    self.take(Input::Trigger("a watched file changed"));
                }
            }
            Err(complaint) if self.watch_complaint.as_ref() != Some(&complaint) => {
                journal::watched_file_invalid(self.supervisor.version(), &complaint);
                self.watch_complaint = Some(complaint);
            }
            Err(_) => {}
        }
    }
}

fn worker_status(worker: u64, state: State, process: &WorkerProcess, sites: usize) -> WorkerStatus {
    let value = |word| process.gauge(sites, word);
    WorkerStatus {
        worker,
        pid: process.pid,
        state: format!("{state:?}").to_lowercase(),
        age_seconds: process.spawned.elapsed().as_secs(),
        connections: value(Global::ConnectionsOpen),
        connections_parked: value(Global::ConnectionsParked),
        requests_in_flight: value(Global::RequestsInFlight),
        requests: process
            .page
            .as_ref()
            .map_or(0, |page| requests(page.words(), sites)),
    }
}

/// "1 site", "2 sites".
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Where a browser would find it.
pub(super) fn url(listener: &Listener) -> String {
    let (scheme, usual) = if listener.tls {
        ("https", 443)
    } else {
        ("http", 80)
    };
    match &listener.address {
        ListenAddress::Port(port) if *port == usual => format!("{scheme}://localhost"),
        ListenAddress::Port(port) => format!("{scheme}://localhost:{port}"),
        ListenAddress::Address(address) => format!("{scheme}://{address}"),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}
