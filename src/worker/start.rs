//! From what the master handed over to threads that are ready to accept.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use rustix::net::sockopt;
use tokio::sync::mpsc;

use super::access_log::Writer;
use super::journal;
use super::thread::{self, Arrival, Command, Outfit, Process, Report};
use super::tunnel::Passenger;
use crate::config::types::{ChallengeAnswer, Config, Listener};
use crate::dns::Word;
use crate::http::service::{Identity, Shared};
use crate::ipc::message::{Assignment, Travelling, TravellingTunnel};
use crate::ipc::page;
use crate::metrics::counters::{Recorder, page_words};
use crate::metrics::lasting::Lasting;
use crate::tls::challenges::Challenges;
use crate::tls::tickets::{KeyRing, Tickets};
use crate::tls::{Keys, TlsListener, UnusableAuthority};

/// Descriptors that a worker needs beside its connections: logs, files, upstreams, epoll sets.
const SPARE_DESCRIPTORS: u64 = 64;

/// Why a worker cannot serve. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tls(#[from] UnusableAuthority),
    #[error("the counters page does not fit the configuration: master and worker differ")]
    Counters,
    #[error("cannot prepare a listening socket: {0}: raise LimitNOFILE= (or 'ulimit -n')")]
    Socket(#[source] io::Error),
    #[error("cannot start a serving thread: {0}: raise TasksMax= (or 'ulimit -u')")]
    Thread(#[source] io::Error),
    #[error(
        "the limit of open files ({limit}) is too low to serve anything: raise LimitNOFILE= (or 'ulimit -n')"
    )]
    Descriptors { limit: u64 },
}

/// The serving threads, as the control loop knows them.
pub struct Crew {
    pub commands: Vec<mpsc::UnboundedSender<Command>>,
    pub reports: mpsc::UnboundedReceiver<Report>,
    pub threads: Vec<JoinHandle<()>>,
    process: Arc<Process>,
    /// The thread that adopts next.
    next: usize,
}

impl Crew {
    pub fn tell(&self, command: impl Fn() -> Command) {
        for thread in &self.commands {
            // A thread that has ended needs no more commands.
            let _ = thread.send(command());
        }
    }

    /// From now on authorities get these answers and no others.
    pub fn answer_authorities(&self, answers: &[ChallengeAnswer]) {
        self.process.http.challenges.set(answers);
        if let Some(challenges) = &self.process.challenges {
            challenges.set(answers);
        }
    }

    /// What names stood for, for another worker.
    pub fn inherit_names(&self, names: Vec<Word>) {
        self.process.http.resolver().inherit(names);
    }

    /// What names stand for, if that was not asked for before.
    pub fn take_names(&self) -> Vec<Word> {
        self.process.http.resolver().take_news()
    }

    /// The page of all figures, or none.
    pub fn show_metrics(&self, descriptors: Vec<OwnedFd>) {
        let text = descriptors.into_iter().next().map(page::read);
        let text = text.and_then(Result::ok).map(Bytes::from);
        self.process.http.metrics.show(text);
    }

    /// Opens the access log anew (after logrotate).
    pub fn reopen_access_log(&self) {
        if let Some(writer) = &self.process.access_log {
            writer.reopen();
        }
    }

    /// Once all threads have ended: has their last lines written, and says how many could not be.
    pub fn finish_access_log(&self) -> u64 {
        let writer = self.process.access_log.as_ref();
        writer.map_or(0, |writer| {
            writer.finish();
            writer.take_lost()
        })
    }

    /// Deals connections of an older generation out to the threads. Those whose listener is gone, or speaks TLS now, are
    /// closed: no site of this configuration could answer them.
    pub fn adopt(&mut self, connections: Vec<Travelling>, sockets: Vec<OwnedFd>) {
        for (travelling, socket) in connections.into_iter().zip(sockets) {
            let Travelling {
                listener,
                peer,
                served,
            } = travelling;
            let listeners = &self.process.config.listeners;
            let known = |known: &Listener| known.address == listener && !known.tls;
            let Some(index) = listeners.iter().position(known) else {
                continue;
            };
            let listener = u32::try_from(index).expect("listeners are counted by u32");
            let connections = vec![Arrival {
                listener,
                peer,
                served,
                socket,
            }];
            let _ = self.next_thread().send(Command::Adopt { connections });
        }
    }

    /// Deals tunnels of an older generation out to the threads, whatever became of their sites.
    pub fn adopt_tunnels(&mut self, tunnels: Vec<TravellingTunnel>, sockets: Vec<OwnedFd>) {
        let mut sockets = sockets.into_iter();
        for tunnel in tunnels {
            let (Some(client), Some(upstream)) = (sockets.next(), sockets.next()) else {
                return;
            };
            let passenger = Box::new(Passenger {
                tunnel,
                client,
                upstream,
            });
            // A thread that has ended takes nobody in any more.
            let _ = self.next_thread().send(Command::AdoptTunnel(passenger));
        }
    }

    fn next_thread(&mut self) -> &mpsc::UnboundedSender<Command> {
        self.next = (self.next + 1) % self.commands.len();
        &self.commands[self.next]
    }
}

/// Builds what the threads share, and starts them.
pub fn start(
    config: Config,
    assignment: &Assignment,
    counters: &'static [std::sync::atomic::AtomicU64],
    lasting: Lasting<'static>,
    sockets: &[OwnedFd],
) -> Result<Crew, StartError> {
    let config = Arc::new(config);
    let threads = config.performance.worker_threads as usize;
    let sites = config.sites.len();
    if counters.len() < page_words(threads, sites) {
        return Err(StartError::Counters);
    }
    let process = Arc::new(process(config.clone(), assignment, lasting)?);
    let limit = connection_limit(&config, threads)?;
    sockets.iter().for_each(prepare);
    let (reports, incoming) = mpsc::unbounded_channel();
    let learned = reports.clone();
    process
        .http
        .resolver()
        .listen(move || drop(learned.send(Report::NamesLearned)));
    let wanted = reports.clone();
    process
        .http
        .metrics
        .listen(move || drop(wanted.send(Report::MetricsWanted)));
    let mut crew = Crew {
        commands: Vec::new(),
        reports: incoming,
        threads: Vec::new(),
        process: process.clone(),
        next: 0,
    };
    for number in 0..threads {
        let (sender, commands) = mpsc::unbounded_channel();
        let outfit = Outfit {
            process: process.clone(),
            recorder: Recorder::new(counters, number, sites),
            sockets: copies(sockets, &assignment.sockets).map_err(StartError::Socket)?,
            limit,
            commands,
            reports: reports.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("bws-serve-{number}"))
            .spawn(move || thread::run(outfit))
            .map_err(StartError::Thread)?;
        crew.commands.push(sender);
        crew.threads.push(thread);
    }
    Ok(crew)
}

fn process(
    config: Arc<Config>,
    assignment: &Assignment,
    lasting: Lasting<'static>,
) -> Result<Process, StartError> {
    let identity = Identity {
        generation: assignment.generation.0,
        config_version: assignment.config_version,
        started_at_ns: assignment.started_at_ns,
    };
    let listeners = config.listeners.iter();
    let tickets = Tickets::new(KeyRing::new(lasting.ticket_keys()));
    let challenges = Challenges::new(&config);
    let keys = Keys::new(config.certificates.clone());
    let tls = listeners
        .map(|listener| TlsListener::new(&config, listener, &keys, &tickets, challenges.as_ref()))
        .collect::<Result<_, UnusableAuthority>>()?;
    Ok(Process {
        access_log: access_log(&config)?,
        http: Arc::new(Shared::new(
            config.clone(),
            identity,
            lasting,
            journal::upstream_changed,
        )),
        config,
        tls,
        challenges,
    })
}

fn access_log(config: &Config) -> Result<Option<Arc<Writer>>, StartError> {
    let logging = &config.logging;
    let path = logging.access_log.as_ref().filter(|_| logging.log_requests);
    let writer = path.map(|path| Writer::start(path)).transpose();
    writer.map_err(StartError::Thread)
}

/// Connections of each thread: what the configuration allows, and no more than there can be descriptors.
fn connection_limit(config: &Config, threads: usize) -> Result<u32, StartError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.unwrap_or(u64::MAX);
    let usable = limit.saturating_sub(SPARE_DESCRIPTORS + 4 * threads as u64);
    if usable == 0 {
        return Err(StartError::Descriptors { limit });
    }
    let wanted = config.performance.max_connections;
    let granted = u64::from(wanted).min(usable);
    if granted < u64::from(wanted) {
        tracing::warn!(
            "max_connections = {wanted} needs more open files than allowed ({limit}): serving {granted}; raise LimitNOFILE="
        );
    }
    let each = granted.div_ceil(threads as u64).max(1);
    Ok(u32::try_from(each).unwrap_or(u32::MAX))
}

/// Options that accepted connections inherit. A Unix socket has no such options.
fn prepare(socket: &OwnedFd) {
    let _ = sockopt::set_tcp_nodelay(socket, true);
    let _ = rustix::io::ioctl_fionbio(socket, true);
}

fn copies(sockets: &[OwnedFd], listeners: &[u32]) -> io::Result<Vec<(u32, OwnedFd)>> {
    let pairs = listeners.iter().zip(sockets);
    pairs
        .map(|(&listener, socket)| Ok((listener, socket.try_clone()?)))
        .collect()
}
