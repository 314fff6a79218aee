//! What a generation of workers runs on, and what another program needs to know of it.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Prepared;
use super::answer::url;
use super::load::Candidate;
use super::upstreams::UpstreamOutline;
use crate::config::types::{Config, Site};
use crate::core::management::Tcp;
use crate::core::report::Details;
use crate::core::sockets::Assigned;
use crate::core::takeover::descriptors::{self, Number};
use crate::ipc::message::{Generation, PROTOCOL};
use crate::ipc::snapshot;

/// What the workers of a generation are started with.
pub(super) struct Resources {
    /// None: it is of another version, and only the outline is known.
    pub(super) config: Option<Arc<Config>>,
    pub(super) outline: Outline,
    pub(super) snapshot: OwnedFd,
    pub(super) sockets: Vec<Assigned>,
    pub(super) version: u64,
    pub(super) summary: String,
    pub(super) details: Details,
    /// Why some listeners have no socket yet, in the operator's words.
    pub(super) missing: Vec<String>,
    /// Takes over when the generation is in force.
    pub(super) tcp: Option<Tcp>,
    /// Only certificates differ from the generation before.
    pub(super) certificates_only: bool,
    /// The program that understands the snapshot, when it is another than this one.
    pub(super) origin: Option<Origin>,
}

/// Of a configuration, what can be said in every version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outline {
    pub(super) hash: String,
    /// In the order of the configuration.
    pub(super) sites: Vec<SiteOutline>,
    /// As a browser would write them.
    pub(super) listeners: Vec<String>,
    /// Of each worker.
    pub(super) threads: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteOutline {
    pub(super) name: String,
    /// As a URL without a path.
    pub(super) listener: String,
    pub(super) hostnames: Vec<String>,
    #[serde(default)]
    pub(super) upstreams: Vec<UpstreamOutline>,
}

/// The program that a generation was made by.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) protocol: String,
    /// Its file, also when that is deleted.
    pub(super) image: Rc<OwnedFd>,
}

impl Outline {
    pub(super) fn new(config: &Config) -> Self {
        let listeners: Vec<String> = config.listeners.iter().map(url).collect();
        let mut places = vec![""; config.sites.len()];
        for (listener, url) in config.listeners.iter().zip(&listeners) {
            for &site in &listener.sites {
                places[site as usize] = url;
            }
        }
        let sites = config.sites.iter().zip(places);
        Self {
            hash: config.hash.clone(),
            sites: sites.map(SiteOutline::new).collect(),
            listeners,
            threads: config.performance.worker_threads as usize,
        }
    }
}

impl SiteOutline {
    fn new((site, listener): (&Site, &str)) -> Self {
        Self {
            name: site.name.clone(),
            listener: listener.to_owned(),
            hostnames: site.hostnames.iter().map(ToString::to_string).collect(),
            upstreams: UpstreamOutline::all(site),
        }
    }
}

impl Origin {
    /// Where a child of this process finds the program.
    pub(super) fn path(&self) -> PathBuf {
        let (pid, number) = (std::process::id(), self.image.as_raw_fd());
        PathBuf::from(format!("/proc/{pid}/fd/{number}"))
    }
}

impl Resources {
    pub(super) fn new(prepared: Prepared, version: u64) -> Self {
        let Prepared {
            candidate,
            sockets,
            missing,
            tcp,
        } = prepared;
        let Candidate {
            config,
            outline,
            snapshot,
            summary,
            details,
            certificates_only,
        } = candidate;
        Self {
            outline,
            config: Some(config),
            snapshot,
            sockets,
            version,
            summary,
            details,
            missing,
            tcp,
            certificates_only,
            origin: None,
        }
    }

    /// What its workers say hello in.
    pub(super) fn protocol(&self) -> &str {
        self.origin
            .as_ref()
            .map_or(PROTOCOL, |origin| &origin.protocol)
    }

    /// `place` finds a socket among those that are held; `image` is the program that runs.
    pub(super) fn record(
        &self,
        generation: Generation,
        place: impl Fn(&Rc<OwnedFd>) -> Option<usize>,
        image: &OwnedFd,
    ) -> Record {
        let image = self
            .origin
            .as_ref()
            .map_or(image, |origin| &*origin.image)
            .as_raw_fd();
        let sockets = self
            .sockets
            .iter()
            .filter_map(|(socket, listener)| Some((place(socket)?, *listener)));
        Record {
            generation,
            version: self.version,
            summary: self.summary.clone(),
            details: self.details.clone(),
            missing: self.missing.clone(),
            outline: self.outline.clone(),
            protocol: self.protocol().to_owned(),
            snapshot: Number(self.snapshot.as_raw_fd()),
            image: Number(image),
            sockets: sockets.collect(),
        }
    }
}

/// What the next program needs to know of a generation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub(super) generation: Generation,
    version: u64,
    summary: String,
    details: Details,
    missing: Vec<String>,
    outline: Outline,
    protocol: String,
    snapshot: Number,
    /// Several generations may have the same.
    pub(super) image: Number,
    /// Which of the held sockets serves which listener.
    sockets: Vec<(usize, u32)>,
}

impl Record {
    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        [self.snapshot, self.image].into_iter()
    }

    /// `held` are the sockets that came along, in the same order.
    pub(super) fn restore(
        self,
        held: &[Option<Rc<OwnedFd>>],
        image: Option<Rc<OwnedFd>>,
    ) -> std::io::Result<Resources> {
        let snapshot = descriptors::claim(self.snapshot)?;
        let ours = self.protocol == PROTOCOL;
        let config = match ours {
            true => Some(Arc::new(snapshot::open(snapshot.try_clone()?)?)),
            false => None,
        };
        let socket = |place: usize| held.get(place).cloned().flatten();
        let sockets = self.sockets.into_iter();
        let protocol = self.protocol;
        Ok(Resources {
            config,
            outline: self.outline,
            snapshot,
            sockets: sockets
                .filter_map(|(place, listener)| Some((socket(place)?, listener)))
                .collect(),
            version: self.version,
            summary: self.summary,
            details: self.details,
            missing: self.missing,
            tcp: None,
            certificates_only: false,
            origin: image
                .filter(|_| !ours)
                .map(|image| Origin { protocol, image }),
        })
    }
}
