//! The shell around the supervisor: it turns what happens into events and does what the supervisor decides. One
//! thread, one loop; everything that may wait is a task that sends an [`Input`].
//!
//! - `execute`: the supervisor's actions
//! - `load`: a configuration file becomes a candidate; `prepare`: it gets its sockets
//! - `answer`: status, metrics, checks; `status_line`: what systemctl shows; `figures`: what /metrics shows
//! - `expiry`: certificates that expire soon
//! - `generation`: what workers run on
//! - `lasting`: what workers share with those before and after them
//! - `orders`: certificates that BWS gets by itself
//! - `ports`: what root binds for us
//! - `takeover`: going on as another program
//! - `upstreams`: how the upstream servers are
//! - `run`: start, loop, end

mod answer;
mod certificates;
mod execute;
mod expiry;
pub mod figures;
pub mod generation;
mod input;
mod lasting;
pub mod load;
pub mod names;
mod orders;
mod ports;
mod prepare;
mod run;
mod status_line;
mod takeover;
mod upstreams;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

pub use input::{Caller, Input};
pub use load::Source;
pub use run::run;

use self::expiry::Told;
use self::figures::Figures;
use self::generation::Resources;
use self::lasting::Lasting;
use self::load::Candidate;
use self::names::Names;
use self::orders::Orders;
use self::takeover::Successor;
use super::chronicle::Chronicle;
use super::hot_reload::journal::{self, Context};
use super::journal::Named;
use super::management::{Control, Tcp};
use super::ports::Door;
use super::report::{Details, LastReload};
use super::sockets::{Assigned, Sockets};
use super::supervisor::Supervisor;
use super::supervisor::event::{Event, Moment, RequestId};
use super::takeover::program::Program;
use super::watch::Watch;
use super::worker_process::{Spare, WorkerProcess};
use crate::config::types::Logging;
use crate::ipc::message::{FromWorker, Generation, PROTOCOL, ToWorker, WorkerId};
use crate::systemd::notify::{self, Reloading};

/// How to run a master.
#[derive(Clone, Debug)]
pub struct Options {
    pub source: Source,
    /// Log at debug level whatever the configuration says.
    pub verbose: bool,
    /// Where to put the control socket instead of the usual places.
    pub control: Option<PathBuf>,
}

struct Master {
    options: Options,
    /// The program that workers run.
    program: Program,
    /// A new program said that it can go on in our place.
    successor: Option<Successor>,
    started: Instant,
    started_at: SystemTime,
    supervisor: Supervisor,
    events: VecDeque<Event>,
    inputs: mpsc::Sender<Input>,
    timer: Option<Moment>,
    exit: Option<u8>,
    sockets: Sockets,
    /// Started while a configuration is loaded, for that one.
    spare: Option<Spare>,
    /// Loaded, not yet known to the supervisor by a generation's number.
    candidate: Option<Prepared>,
    generations: BTreeMap<Generation, Resources>,
    workers: BTreeMap<WorkerId, WorkerProcess>,
    /// Whose turn it was to adopt connections.
    last_adopter: usize,
    waiting: HashMap<RequestId, Caller>,
    last_request: u64,
    /// Of the reload under way, when its configuration was refused.
    refusal: Option<Details>,
    reloading: Option<Reloading>,
    control: Option<Control>,
    door: Option<Door>,
    tcp: Option<Tcp>,
    /// What the configuration in force says of log lines.
    logging: Option<Logging>,
    watch: Option<Watch>,
    /// The last error of a watched file, to be said once.
    watch_complaint: Option<String>,
    /// The hash of the last configuration that the watcher reloaded, which may have failed.
    watch_tried: Option<String>,
    /// The worker that went last, until the supervisor says what follows from it.
    lost: Option<(WorkerId, Named)>,
    /// The status line that the service manager has.
    shown: String,
    /// The service manager's watchdog was not fed when it should have been.
    starving: bool,
    figures: Figures,
    lasting: Lasting,
    last_reload: Option<LastReload>,
    chronicle: Chronicle,
    names: Names,
    orders: Orders,
    /// Certificates that expire soon.
    told: Told,
    /// Somebody asked for more than new certificates.
    full_reload: bool,
}

/// A candidate with the sockets that it needs.
struct Prepared {
    candidate: Candidate,
    sockets: Vec<Assigned>,
    missing: Vec<String>,
    tcp: Option<Tcp>,
}

impl Master {
    fn take(&mut self, input: Input) {
        match input {
            Input::Said {
                worker,
                message,
                descriptors,
            } => self.said(worker, message, descriptors),
            Input::Broken { worker, reason } => {
                self.feed(Event::WorkerMisbehaved { worker, reason });
            }
            Input::Gone { worker, how } => self.gone(worker, how),
            Input::Loaded(result) => self.loaded(*result),
            Input::SuccessorChecked(result) => self.successor_checked(*result),
            Input::Reload(reply) => {
                journal::triggered("requested over the management API");
                self.request_reload(Some(reply));
            }
            Input::Trigger(why) => {
                journal::triggered(why);
                self.request_reload(None);
            }
            Input::Ports(question) => self.ports(question),
            Input::Check(reply) => self.check(reply),
            Input::Status(reply) => drop(reply.send(self.status())),
            Input::Certificates(reply) => drop(reply.send(self.certificate_statuses())),
            Input::Metrics(reply) => drop(reply.send(self.metrics())),
            Input::Upstreams(reply) => drop(reply.send(self.upstreams())),
            Input::Chronicle(reply) => drop(reply.send(self.chronicle.clone())),
            Input::SourcesTouched => self.sources_touched(),
            Input::SourcesChecked(result) => self.sources_checked(result),
            Input::Orders(news) => self.heard_of_orders(news),
            Input::ReopenLogs => self.reopen_logs(),
            Input::Stop => {
                crate::core::journal::stopping();
                self.feed(Event::StopRequested);
            }
        }
    }

    /// Lets the supervisor decide on `event` and on everything that follows from it.
    fn feed(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            journal::heard(&event);
            for action in self.supervisor.handle(self.started.elapsed(), event) {
                journal::decided(&action);
                self.execute(action);
            }
        }
        self.forget_generations();
    }

    fn request_reload(&mut self, reply: Option<Caller>) {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.full_reload = true;
        if let Some(reply) = reply {
            self.waiting.insert(request, reply);
        }
        self.feed(Event::ReloadRequested(request));
    }

    fn said(&mut self, worker: WorkerId, message: FromWorker, descriptors: Vec<OwnedFd>) {
        let Some(process) = self.workers.get_mut(&worker) else {
            return;
        };
        let misbehaved = |reason: String| Event::WorkerMisbehaved { worker, reason };
        let event = match message {
            FromWorker::Hello { protocol } => {
                let generation = self.generations.get(&process.generation);
                let expected = generation.map_or(PROTOCOL, Resources::protocol);
                process.greeted = protocol == expected;
                if process.greeted {
                    return;
                }
                let message = format!(
                    "'{}' is BWS {protocol}, where {expected} was expected: run 'systemctl restart bws'",
                    self.program.path().display()
                );
                Event::WorkerFailed { worker, message }
            }
            FromWorker::Failed { message } => Event::WorkerFailed { worker, message },
            _ if !process.greeted => misbehaved("spoke before it said hello".into()),
            FromWorker::Ready => return self.ready(worker),
            FromWorker::StoppedAccepting => Event::WorkerStoppedAccepting(worker),
            FromWorker::HandOver { connections } => {
                let complete = connections.len() == descriptors.len();
                return self.hand_over(complete, ToWorker::Adopt { connections }, descriptors);
            }
            FromWorker::HandOverTunnels { tunnels } => {
                let complete = 2 * tunnels.len() == descriptors.len();
                return self.hand_over(complete, ToWorker::AdoptTunnels { tunnels }, descriptors);
            }
            FromWorker::Pong { sequence } => {
                self.feed(Event::WorkerAnswered { worker, sequence });
                return self.feed_starving_watchdog();
            }
            FromWorker::Draining { .. } => return self.show_status(),
            FromWorker::AnswersKnown { revision } => return self.answers_known(worker, revision),
            FromWorker::Learned { names } => return self.names_learned(names),
            FromWorker::WantMetrics => return self.show_metrics(worker),
            FromWorker::Told { event, record } => return self.chronicle.tell(&event, record),
        };
        self.feed(event);
    }

    /// Tells the service manager that this loop turns and that clients are served; else it is told nothing, and
    /// restarts the service when that lasts.
    fn feed_watchdog(&mut self) {
        self.starving = !self.supervisor.is_well(self.started.elapsed());
        if !self.starving {
            notify::alive();
        }
    }

    fn feed_starving_watchdog(&mut self) {
        if self.starving {
            self.feed_watchdog();
        }
    }

    /// Gives connections of an older generation to one of the workers in force, each in turn. Without one they are
    /// closed, which an idle connection's client expects at any time.
    fn hand_over(&mut self, complete: bool, message: ToWorker, descriptors: Vec<OwnedFd>) {
        let active = self.supervisor.active_workers();
        let processes: Vec<_> = active
            .iter()
            .filter_map(|id| self.workers.get(id))
            .collect();
        if !complete || processes.is_empty() {
            return;
        }
        self.last_adopter = self.last_adopter.wrapping_add(1);
        let process = processes[self.last_adopter % processes.len()];
        process.hand(message, descriptors);
    }

    fn ready(&mut self, worker: WorkerId) {
        if let Some(process) = self.workers.get(&worker) {
            let took = process.spawned.elapsed();
            self.figures.note_spawn(took);
            journal::worker_ready(self.context(), process.named(), took);
        }
        self.feed(Event::WorkerReady(worker));
        if !self.supervisor.is_reloading() {
            self.show_status();
        }
    }

    fn gone(&mut self, worker: WorkerId, how: String) {
        if let Some(process) = self.workers.remove(&worker) {
            let resources = self.generations.get(&process.generation);
            if let (Some(resources), Some(page)) = (resources, &process.page) {
                self.figures.retire(page, &resources.outline.sites);
            }
            crate::core::journal::worker_gone(process.named(), &how);
            self.lost = Some((worker, process.named()));
        }
        self.feed(Event::WorkerExited { worker, how });
        self.check_confirmations();
        self.lost = None;
        if self.exit.is_none() && !self.supervisor.is_reloading() {
            self.show_status();
        }
    }

    /// Drops what no worker needs any more.
    fn forget_generations(&mut self) {
        let active = self.supervisor.active_generation();
        let starting = self.supervisor.candidate_generation();
        let workers = &self.workers;
        self.generations.retain(|generation, _| {
            let used = workers
                .values()
                .any(|worker| worker.generation == *generation);
            used || Some(*generation) == active || Some(*generation) == starting
        });
    }

    fn active(&self) -> Option<&Resources> {
        self.generations.get(&self.supervisor.active_generation()?)
    }

    /// Why the generation in force lacks some of its listeners.
    fn missing(&self) -> &[String] {
        self.active().map_or(&[], |active| &active.missing)
    }

    fn context(&self) -> Context {
        match self.supervisor.active_generation() {
            Some(_) if self.supervisor.is_reloading() => Context::Reload,
            _ => Context::Boot,
        }
    }

    /// Nanoseconds since the epoch.
    fn started_at_ns(&self) -> u64 {
        let since = self
            .started_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or_default()
    }
}
