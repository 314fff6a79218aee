//! A reload that finds another program on disk becomes that program first: what is taken along, when, and how it is
//! found again.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use tokio::sync::mpsc;

use super::generation::{Record, Resources};
use super::lasting::Lasting;
use super::load::{self, Refused};
use super::{Caller, Input, Master};
use crate::config::types::Management;
use crate::core::hot_reload::journal;
use crate::core::management::{self, Control, Tcp};
use crate::core::sockets::Sockets;
use crate::core::supervisor::event::{Event, RequestId};
use crate::core::supervisor::heartbeat::Rhythm;
use crate::core::takeover::descriptors::{self, Number};
use crate::core::takeover::program::{Identity, Program};
use crate::core::takeover::state::{FORMAT, Header, State};
use crate::core::takeover::{check, exec, moment};
use crate::core::watch::Watch;
use crate::core::worker_process::Adopted;
use crate::ipc::message::{Generation, LANGUAGE, PROTOCOL, version};
use crate::metrics::counters::{GLOBAL_WORDS, SITE_WORDS};
use crate::systemd::logging;
use crate::systemd::notify::{self, Reloading};

/// How long the master waits for a moment in which nothing is under way between it and its workers.
const QUIET_WITHIN: Duration = Duration::from_secs(5);
/// How long other requests of operators may still take; one that takes longer is broken off.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// The same for who follows events: it comes back, and misses nothing.
const FOLLOWED_WITHIN: Duration = Duration::from_millis(100);
/// How often it looks.
pub(super) const LOOK: Duration = Duration::from_millis(1);
/// How long the new program may take to answer while no configuration says so.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// A program that said that it can go on in our place.
pub struct Checked {
    identity: Identity,
    version: String,
}

/// One that shall, as soon as nothing is under way.
pub(super) struct Successor {
    checked: Checked,
    since: Instant,
}

impl Master {
    pub(super) fn load_or_take_over(&mut self) {
        match self.program.replacement() {
            Some(identity) if self.supervisor.active_generation().is_some() => {
                self.check_successor(identity)
            }
            _ => self.load(),
        }
    }

    /// Asks the new program whether it understands everything.
    fn check_successor(&self, identity: Identity) {
        let path = self.program.path().to_owned();
        journal::new_program(&path);
        let state = own_image().and_then(|image| self.state(identity, &image).write());
        let limit = self.supervisor.ready_timeout().unwrap_or(CHECK_WITHIN);
        let inputs = self.inputs.clone();
        tokio::task::spawn_local(async move {
            let result = match state {
                Ok(state) => check::ask(&path, exec::arguments().collect(), state, limit).await,
                Err(error) => Err(load::refused_by(&error)),
            };
            let result = result.map(|version| Checked { identity, version });
            let _ = inputs.send(Input::SuccessorChecked(Box::new(result))).await;
        });
    }

    pub(super) fn successor_checked(&mut self, result: Result<Checked, Refused>) {
        match result {
            Ok(checked) => {
                let since = Instant::now();
                self.successor = Some(Successor { checked, since });
                // Who follows comes back to the new program.
                self.chronicle.close();
            }
            Err(refused) => self.loaded(Err(refused)),
        }
    }

    /// Becomes the new program if this is the moment for it. Nothing that was said may be lost: neither by a worker nor
    /// to one.
    pub(super) fn take_over_when_quiet(&mut self, inputs: &mpsc::Receiver<Input>) {
        let Some(successor) = self.successor.take() else {
            return;
        };
        self.take_over_or_wait(successor, inputs);
        if self.successor.is_none() && !self.supervisor.is_stopping() {
            self.chronicle.open();
        }
    }

    fn take_over_or_wait(&mut self, successor: Successor, inputs: &mpsc::Receiver<Input>) {
        if !self.supervisor.is_reloading() || self.supervisor.is_stopping() {
            return;
        }
        let heard_all = inputs.is_empty() && inputs.capacity() == inputs.max_capacity();
        let waited = successor.since.elapsed();
        let others = management::expectant().saturating_sub(self.callers().len());
        let answered = is_answered(waited, others, self.chronicle.followers());
        let quiet = heard_all && answered && self.workers.values().all(|worker| worker.is_quiet());
        match () {
            () if quiet => self.take_over(&successor.checked),
            () if waited < QUIET_WITHIN => self.successor = Some(successor),
            () => {
                let problem = "no moment was found to become the new program: a worker does not read its control channel".to_owned();
                self.loaded(Err(load::refused_by_system(&[problem])));
            }
        }
    }

    fn take_over(&mut self, checked: &Checked) {
        // Replaced once more: another one has to be asked.
        if self.program.replacement() != Some(checked.identity) {
            return self.load_or_take_over();
        }
        journal::becoming(self.program.path(), &checked.version);
        let error = match own_image() {
            Ok(image) => {
                let state = self.state(checked.identity, &image);
                exec::become_program(self.program.path(), &state)
            }
            Err(error) => error,
        };
        let problem = format!(
            "the new program '{}' cannot be executed: {error}; the old one goes on",
            self.program.path().display()
        );
        self.loaded(Err(load::refused_by_system(&[problem])));
    }

    /// `image` is the program that runs, which is taken along for workers that have to be replaced.
    fn state(&self, became: Identity, image: &OwnedFd) -> State {
        let place = |socket: &Rc<OwnedFd>| self.sockets.place(socket);
        let generations = self.generations.iter();
        let workers = self.workers.iter();
        State {
            header: header(),
            program: self.program.path().to_owned(),
            became,
            started: moment::to_monotonic(self.started),
            started_at: self
                .started_at
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            supervisor: self.supervisor.clone(),
            sockets: self.sockets.record(),
            generations: generations
                .map(|(number, resources)| resources.record(*number, place, image))
                .collect(),
            workers: workers.map(|(id, worker)| worker.record(*id)).collect(),
            callers: self.callers(),
            last_request: self.last_request,
            figures: self.figures.clone(),
            lasting: Some(self.lasting.record()),
            totals: self.totals(),
            last_reload: self.last_reload.clone(),
            chronicle: self.chronicle.record(),
            names: self.names.clone(),
            control: self.control.as_ref().map(Control::record),
            tcp: self.tcp.as_ref().map(Tcp::record),
            logging: self.logging.clone(),
            watched: self.watch.as_ref().map(|watch| watch.sources().to_vec()),
        }
    }

    fn callers(&self) -> Vec<(u64, Number)> {
        let numbers = self.waiting.iter().filter_map(|(request, caller)| {
            let number = match caller {
                Caller::Task(_, presence) => presence.as_ref()?.number()?,
                Caller::Connection(connection) => Number(connection.as_raw_fd()),
            };
            Some((request.0, number))
        });
        numbers.collect()
    }

    /// Goes on where an earlier program of this process left off. Needs a `LocalSet`.
    pub(super) fn resume(mut self, state: State) -> Self {
        let same_language = state.header.language == LANGUAGE;
        let same_counters = state.header.counters == header().counters;
        self.chronicle.resume(state.chronicle);
        journal::resumed(&state.header.version);
        match Program::resumed(state.program, state.became) {
            Ok(program) => self.program = program,
            Err(error) => tracing::warn!("this program does not find its own file: {error}"),
        }
        self.started = moment::from_monotonic(state.started);
        self.started_at = UNIX_EPOCH + state.started_at;
        self.supervisor = state.supervisor;
        let rhythm = Rhythm::within(notify::watchdog_limit());
        self.supervisor.follow(rhythm, self.started.elapsed());
        self.figures = state.figures;
        if let Some(lasting) = state.lasting.and_then(Lasting::resume) {
            self.lasting = lasting;
        }
        if !same_counters {
            self.figures.count_as_retired(state.totals);
        }
        (self.last_request, self.last_reload) = (state.last_request, state.last_reload);
        self.names = state.names;
        let (sockets, held) = Sockets::resume(state.sockets);
        self.sockets = sockets;
        self.generations = restore_generations(state.generations, &held);
        for record in state.workers {
            let (worker, inputs) = (record.worker, &self.inputs);
            let adopted = Adopted {
                record,
                same_language,
                same_counters,
                inputs,
            };
            match adopted.meet() {
                Ok(process) => drop(self.workers.insert(worker, process)),
                Err(error) => {
                    tracing::error!("worker {} was lost on the way: {error}", worker.0);
                    let how = format!("was lost on the way: {error}");
                    self.events.push_back(Event::WorkerExited { worker, how });
                }
            }
        }
        self.waiting = restore_callers(state.callers);
        self.resume_management(state.control, state.tcp);
        if let Some(logging) = state.logging {
            logging::reconfigure(&logging);
            self.logging = Some(logging);
        }
        self.watch = state
            .watched
            .and_then(|sources| Watch::start(&sources, self.inputs.clone()));
        self.reloading = Some(Reloading::resume());
        self
    }

    fn resume_management(
        &mut self,
        control: Option<(PathBuf, Number)>,
        tcp: Option<(Management, Number)>,
    ) {
        let adopted = control.map(|(path, number)| {
            let socket = descriptors::claim(number)?;
            Control::adopt(path, socket, self.inputs.clone())
        });
        match adopted.transpose() {
            Ok(control) => self.control = control,
            Err(error) => tracing::error!("the control socket was lost on the way: {error}"),
        }
        if let Some((settings, number)) = tcp {
            let socket = descriptors::claim(number);
            let tcp = socket.map(|socket| Tcp::adopt(settings, socket));
            self.tcp = tcp.ok().map(|tcp| tcp.serve(self.inputs.clone()));
        }
    }
}

/// Whether nobody is waited for any more: `others` are operators with a request under way.
fn is_answered(waited: Duration, others: usize, followers: usize) -> bool {
    let told = followers == 0 || waited > FOLLOWED_WITHIN;
    waited > ANSWERED_WITHIN || (others == 0 && told)
}

fn header() -> Header {
    Header {
        format: FORMAT,
        version: version().into(),
        protocol: PROTOCOL.into(),
        language: LANGUAGE,
        counters: (GLOBAL_WORDS, SITE_WORDS),
    }
}

fn own_image() -> std::io::Result<OwnedFd> {
    // Executed, never read: it may be unreadable.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/proc/self/exe", flags, Mode::empty())?)
}

fn restore_callers(callers: Vec<(u64, Number)>) -> HashMap<RequestId, Caller> {
    let claimed = callers.into_iter().filter_map(|(request, number)| {
        let connection = descriptors::claim(number).ok()?;
        Some((RequestId(request), Caller::Connection(connection)))
    });
    claimed.collect()
}

fn restore_generations(
    records: Vec<Record>,
    held: &[Option<Rc<OwnedFd>>],
) -> BTreeMap<Generation, Resources> {
    let mut images: BTreeMap<Number, Option<Rc<OwnedFd>>> = BTreeMap::new();
    let mut generations = BTreeMap::new();
    for record in records {
        let (generation, number) = (record.generation, record.image);
        let claim = || descriptors::claim(number).ok().map(Rc::new);
        let image = images.entry(number).or_insert_with(claim).clone();
        match record.restore(held, image) {
            Ok(resources) => drop(generations.insert(generation, resources)),
            Err(error) => {
                tracing::error!("generation {} was lost on the way: {error}", generation.0);
            }
        }
    }
    generations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_events_holds_up_nobody() {
        let answered = |milliseconds, others, followers| {
            is_answered(Duration::from_millis(milliseconds), others, followers)
        };
        assert!(answered(0, 0, 0));
        assert!(!answered(0, 0, 1) && answered(101, 0, 1));
        assert!(!answered(101, 1, 0) && !answered(1999, 1, 1) && answered(2001, 1, 1));
    }
}
