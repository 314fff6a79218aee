//! A configuration is loaded and gets its sockets, before anything else happens.

use std::os::fd::OwnedFd;

use super::load::{self, Candidate, Refused};
use super::{Input, Master, Prepared};
use crate::config::types::Listener;
use crate::core::hot_reload::journal::Context;
use crate::core::journal;
use crate::core::management::Tcp;
use crate::core::sockets::Assigned;
use crate::core::supervisor::event::{Event, Settings};
use crate::core::worker_process::Equipment;
use crate::ipc::snapshot;
use crate::systemd::notify;

impl Master {
    /// All of the configuration, unless nothing but new certificates is asked for.
    pub(super) fn load_what_is_asked_for(&mut self) {
        let full = std::mem::take(&mut self.full_reload);
        let sites = self.new_certificates();
        let old = self.active().and_then(|active| active.config.clone());
        match old.filter(|_| !full && !sites.is_empty()) {
            Some(old) => {
                self.load_beside(move |_, memory| load::with_new_certificates(&old, &sites, memory))
            }
            None => self.load_or_take_over(),
        }
    }

    pub(super) fn load(&mut self) {
        let (source, verbose) = (self.options.source.clone(), self.options.verbose);
        let old = self.active().and_then(|active| active.config.clone());
        self.load_beside(move |context, memory| {
            load::candidate(&source, verbose, old.as_deref(), context, memory)
        });
    }

    /// Does `work` on another thread, and starts a worker for what it makes meanwhile.
    fn load_beside(
        &mut self,
        work: impl FnOnce(Context, Option<OwnedFd>) -> Result<Candidate, Refused> + Send + 'static,
    ) {
        let (context, inputs) = (self.context(), self.inputs.clone());
        // Without memory, or without a process, the usual way will say what is wrong.
        let memory = snapshot::blank().ok();
        let copy = memory.as_ref().and_then(|memory| memory.try_clone().ok());
        let work = tokio::task::spawn_blocking(move || work(context, copy));
        if let Some(memory) = memory {
            self.start_spare(&memory);
        }
        tokio::task::spawn_local(async move {
            let result = work.await.unwrap_or_else(|error| {
                Err(load::refused_by_system(&[format!(
                    "the configuration was not loaded: {error}"
                )]))
            });
            let _ = inputs.send(Input::Loaded(Box::new(result))).await;
        });
    }

    fn start_spare(&mut self, snapshot: &OwnedFd) {
        self.dismiss_spare();
        let Some(active) = self.active() else {
            return;
        };
        let equipment = Equipment {
            program: &self.program.image(),
            generation: self.supervisor.next_generation(),
            sites: active.outline.sites.len(),
            snapshot,
            lasting: self.lasting.page(),
            sockets: &active.sockets,
        };
        self.spare = equipment.spare().ok();
    }

    fn dismiss_spare(&mut self) {
        if let Some(spare) = self.spare.take() {
            spare.dismiss();
        }
    }

    pub(super) fn loaded(&mut self, result: Result<Candidate, Refused>) {
        let result = result.and_then(|candidate| self.prepare(candidate));
        let event = match result {
            Ok(settings) => Ok(settings),
            Err(refused) => {
                self.dismiss_spare();
                self.release_sockets();
                self.refusal = Some(*refused.details);
                Err(refused.error)
            }
        };
        self.feed(Event::ConfigLoaded(event));
    }

    /// Gets the sockets of a new configuration before anything else happens.
    fn prepare(&mut self, candidate: Candidate) -> Result<Settings, Refused> {
        let (sockets, missing) = self.assign(&candidate.config.listeners)?;
        for idle in self.sockets.unused(&candidate.config.listeners) {
            tracing::warn!("no site listens on {idle}: connections to it wait for ever");
        }
        let tcp = self.prepare_tcp(&candidate)?;
        let server = &candidate.config.server;
        let settings = Settings {
            workers: server.workers,
            ready_timeout: server.ready_timeout,
            shutdown_timeout: server.shutdown_timeout,
        };
        self.candidate = Some(Prepared {
            candidate,
            sockets,
            missing,
            tcp,
        });
        Ok(settings)
    }

    /// The sockets of a new configuration, and why some are missing: a start under a service manager does without the
    /// ports that only root may bind, as root's helper follows.
    fn assign(&mut self, listeners: &[Listener]) -> Result<(Vec<Assigned>, Vec<String>), Refused> {
        let problems = match self.sockets.assign(listeners) {
            Ok(sockets) => return Ok((sockets, Vec::new())),
            Err(problems) => problems,
        };
        let texts: Vec<String> = problems.iter().map(|one| one.text.clone()).collect();
        let active = self.supervisor.active_generation();
        if active.is_none() && notify::is_supervised() && problems.iter().all(|one| one.denied) {
            journal::ports_missing(&texts.join("; "));
            return Ok((self.sockets.assigned(listeners), texts));
        }
        let resources = active.and_then(|active| self.generations.get_mut(&active));
        if let Some(resources) = resources.filter(|resources| !resources.missing.is_empty()) {
            // Root may have found out more.
            resources.missing.clone_from(&texts);
        }
        Err(load::refused_by_system(&texts))
    }

    fn prepare_tcp(&self, candidate: &Candidate) -> Result<Option<Tcp>, Refused> {
        let wanted = &candidate.config.management;
        let unchanged = self.tcp.as_ref().is_some_and(|tcp| tcp.serves(wanted));
        if !wanted.enabled || unchanged {
            return Ok(None);
        }
        let tcp = Tcp::bind(wanted, self.tcp.as_ref());
        Ok(Some(
            tcp.map_err(|problem| load::refused_by_system(&[problem]))?,
        ))
    }

    /// The server stops: who comes to a port that only we hold is refused, and does not wait in vain.
    pub(super) fn close_own_sockets(&mut self) {
        self.sockets.close_own();
        for resources in self.generations.values_mut() {
            let used = &mut resources.sockets;
            used.retain(|(socket, _)| self.sockets.place(socket).is_some());
        }
    }

    /// Closes what only a refused configuration, or a former one, wanted.
    pub(super) fn release_sockets(&mut self) {
        let used = self.active().map(|active| active.sockets.clone());
        // Before anything is in force, nothing is known to be superfluous.
        let kept = used.is_none();
        self.sockets.retain(&used.unwrap_or_default(), kept);
    }
}
