//! The worker's control loop: does what the master says, tells it what became of it, and drains when it is gone.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::drain::Idle;
use super::journal;
use super::outbox::Outbox;
use super::start::{self, Crew};
use super::thread::{Command, Departure, Report};
use super::tunnel::Passenger;
use crate::config::types::{Config, Logging};
use crate::ipc::channel::{Channel, MAX_DESCRIPTORS};
use crate::ipc::inheritance::Inheritance;
use crate::ipc::message::{Assignment, FromWorker, PROTOCOL, ToWorker};
use crate::ipc::names::in_packets;
use crate::ipc::{shared_page, snapshot};
use crate::metrics::counters::{GLOBAL_WORDS, Global, Recorder, block_words};
use crate::metrics::lasting::Lasting;

/// How often a draining worker tells what is still open.
const DRAIN_REPORT: Duration = Duration::from_secs(1);

/// How long a SIGTERM waits for the master's word that goes with it, which knows more: the deadline, and whether there
/// is a next generation.
const MASTERS_WORD: Duration = Duration::from_millis(200);

/// What the worker needs of the rooms that it may not know.
pub struct Hooks {
    pub start_logging: fn(&Logging, &Assignment),
    pub reopen_logs: fn(),
}

/// The main function of a process that a master started.
pub fn main(hooks: &Hooks) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(work(hooks)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bws worker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn work(hooks: &Hooks) -> io::Result<()> {
    let Inheritance {
        control,
        config,
        counters,
        lasting,
        sockets,
    } = Inheritance::take().map_err(io::Error::other)?;
    let channel = Channel::from_fd(control)?;
    channel
        .send(&FromWorker::Hello {
            protocol: PROTOCOL.to_owned(),
        })
        .await?;
    let Some(ToWorker::Assign(assignment)) = channel.receive().await? else {
        return Ok(());
    };
    let counters = shared_page::map(counters)?;
    let lasting = Lasting::open(shared_page::map(lasting)?).ok_or_else(|| {
        io::Error::other("the lasting memory is not this program's: master and worker differ")
    })?;
    let prepared = snapshot::open_for_worker(config)
        .map_err(|error| error.to_string())
        .and_then(|config| {
            (hooks.start_logging)(&config.logging, &assignment);
            let summary = Summary::new(&config, &assignment);
            let crew = start::start(config, &assignment, counters, lasting, &sockets);
            crew.map(|crew| (crew, summary))
                .map_err(|error| error.to_string())
        });
    drop(sockets);
    match prepared {
        Ok((crew, summary)) => {
            let signals = Signals::new()?;
            let channel = Arc::new(channel);
            let outbox = Outbox::new(&channel);
            outbox.pass_events_on(assignment.generation);
            let control = Control {
                channel,
                outbox,
                crew,
                summary,
                counters,
                hooks,
                pending: Pending::default(),
            };
            control.run(signals).await
        }
        Err(message) => {
            channel.send(&FromWorker::Failed { message }).await?;
            Err(io::Error::other("could not start"))
        }
    }
}

/// What the loop needs to remember of its configuration.
struct Summary {
    generation: u64,
    version: u64,
    sites: usize,
    threads: usize,
    shutdown_timeout: Duration,
}

impl Summary {
    fn new(config: &Config, assignment: &Assignment) -> Self {
        Self {
            generation: assignment.generation.0,
            version: assignment.config_version,
            sites: config.sites.len(),
            threads: config.performance.worker_threads as usize,
            shutdown_timeout: config.server.shutdown_timeout,
        }
    }
}

/// Signals that concern a worker. Those of a terminal or a stray `pkill` are the master's business.
struct Signals {
    terminate: Signal,
    _ignored: [Signal; 3],
}

impl Signals {
    fn new() -> io::Result<Self> {
        let ignored = [
            SignalKind::interrupt(),
            SignalKind::hangup(),
            SignalKind::user_defined1(),
        ];
        let [interrupt, hangup, reopen] = ignored.map(signal);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            _ignored: [interrupt?, hangup?, reopen?],
        })
    }
}

/// How many threads still owe an answer.
#[derive(Default)]
struct Pending {
    ready: usize,
    stopped: usize,
    pong: Option<(u64, usize)>,
    finished: usize,
}

struct Control<'a> {
    channel: Arc<Channel>,
    outbox: Outbox,
    crew: Crew,
    summary: Summary,
    counters: &'static [std::sync::atomic::AtomicU64],
    hooks: &'a Hooks,
    pending: Pending,
}

impl Control<'_> {
    async fn run(mut self, signals: Signals) -> io::Result<()> {
        let outcome = self.serve(signals).await;
        self.outbox.finish().await;
        outcome
    }

    async fn serve(&mut self, mut signals: Signals) -> io::Result<()> {
        let mut master_lives = true;
        let mut draining = false;
        let mut terminating = false;
        let terminated = tokio::time::sleep(Duration::MAX);
        tokio::pin!(terminated);
        let mut tick = tokio::time::interval_at(Instant::now() + DRAIN_REPORT, DRAIN_REPORT);
        while self.pending.finished < self.summary.threads {
            tokio::select! {
                message = self.channel.receive_with::<ToWorker>(), if master_lives => match message {
                    Ok(Some((message, descriptors))) => draining |= self.obey(message, descriptors),
                    Ok(None) | Err(_) => {
                        master_lives = false;
                        journal::master_lost();
                        draining |= self.drain(self.summary.shutdown_timeout, Idle::Stays);
                    }
                },
                Some(report) = self.crew.reports.recv() => self.forward(report)?,
                Some(()) = signals.terminate.recv(), if !draining => {
                    terminated.as_mut().reset(Instant::now() + MASTERS_WORD);
                    terminating = true;
                }
                () = &mut terminated, if terminating => {
                    terminating = false;
                    if !draining {
                        draining = self.drain(self.summary.shutdown_timeout, Idle::Stays);
                    }
                }
                _ = tick.tick(), if draining && master_lives => self.report_drain(),
            }
        }
        let lost = self.crew.finish_access_log();
        // The thread of this block has ended, so nobody else writes there.
        Recorder::new(self.counters, 0, self.summary.sites).add(Global::AccessLogDropped, lost);
        journal::drained();
        Ok(())
    }

    /// Does what the master says; true when it says drain.
    fn obey(&mut self, message: ToWorker, descriptors: Vec<OwnedFd>) -> bool {
        match message {
            ToWorker::Assign(_) => {}
            ToWorker::Accept => {
                self.crew.tell(|| Command::Accept);
                tracing::info!(
                    "ready to accept connections (generation {}, configuration version {})",
                    self.summary.generation,
                    self.summary.version
                );
            }
            ToWorker::StopAccepting => self.crew.tell(|| Command::StopAccepting),
            ToWorker::Drain {
                deadline_ms,
                hand_over,
            } => {
                let idle = if hand_over {
                    Idle::Travels
                } else {
                    Idle::Leaves
                };
                return self.drain(Duration::from_millis(deadline_ms), idle);
            }
            ToWorker::Adopt { connections } => self.crew.adopt(connections, descriptors),
            ToWorker::AdoptTunnels { tunnels } => self.crew.adopt_tunnels(tunnels, descriptors),
            ToWorker::ReopenLogs => {
                (self.hooks.reopen_logs)();
                self.crew.reopen_access_log();
            }
            ToWorker::Answer { revision, answers } => {
                self.crew.answer_authorities(&answers);
                self.outbox
                    .send(FromWorker::AnswersKnown { revision }, Vec::new());
            }
            ToWorker::Inherit { names } => self.crew.inherit_names(names),
            ToWorker::Metrics => self.crew.show_metrics(descriptors),
            ToWorker::Ping { sequence } => {
                self.pending.pong = Some((sequence, 0));
                self.crew.tell(|| Command::Ping { sequence });
            }
        }
        false
    }

    fn drain(&self, deadline: Duration, idle: Idle) -> bool {
        let open = self.total(Global::ConnectionsOpen);
        tracing::info!("finishing existing connections ({open} open)");
        self.crew.tell(|| Command::Drain { deadline, idle });
        true
    }

    fn forward(&mut self, report: Report) -> io::Result<()> {
        let all = self.summary.threads;
        let message = match report {
            Report::Ready => {
                self.pending.ready += 1;
                (self.pending.ready == all).then_some(FromWorker::Ready)
            }
            Report::StoppedAccepting => {
                self.pending.stopped += 1;
                (self.pending.stopped == all).then_some(FromWorker::StoppedAccepting)
            }
            Report::Pong { sequence } => self.count_pong(Some(sequence)),
            Report::HandOver { connections } => {
                self.hand_over(connections);
                None
            }
            Report::HandOverTunnel(passenger) => {
                self.hand_over_tunnel(*passenger);
                None
            }
            Report::NamesLearned => {
                for names in in_packets(self.crew.take_names()) {
                    self.outbox.send(FromWorker::Learned { names }, Vec::new());
                }
                None
            }
            Report::MetricsWanted => Some(FromWorker::WantMetrics),
            Report::Finished => {
                self.pending.finished += 1;
                self.count_pong(None)
            }
            Report::Failed { message } => {
                // Without one of its threads a worker is no worker.
                let failed = FromWorker::Failed {
                    message: message.clone(),
                };
                self.outbox.send(failed, Vec::new());
                return Err(io::Error::other(message));
            }
        };
        if let Some(message) = message {
            self.outbox.send(message, Vec::new());
        }
        Ok(())
    }

    fn hand_over(&self, departures: Vec<Departure>) {
        let mut departures = departures.into_iter().peekable();
        while departures.peek().is_some() {
            let batch = departures.by_ref().take(MAX_DESCRIPTORS);
            let (connections, sockets) = batch
                .map(|departure| (departure.connection, departure.socket))
                .unzip();
            self.outbox
                .send(FromWorker::HandOver { connections }, sockets);
        }
    }

    fn hand_over_tunnel(&self, passenger: Passenger) {
        let Passenger {
            tunnel,
            client,
            upstream,
        } = passenger;
        let tunnels = vec![tunnel];
        self.outbox.send(
            FromWorker::HandOverTunnels { tunnels },
            vec![client, upstream],
        );
    }

    /// A thread answered the question of this number; None: it has ended and need not answer any more.
    fn count_pong(&mut self, answered: Option<u64>) -> Option<FromWorker> {
        let (sequence, count) = self.pending.pong.as_mut()?;
        match answered {
            Some(number) if number == *sequence => *count += 1,
            Some(_) => return None,
            None => {}
        }
        let sequence = *sequence;
        if *count + self.pending.finished < self.summary.threads {
            return None;
        }
        self.pending.pong = None;
        Some(FromWorker::Pong { sequence })
    }

    fn report_drain(&self) {
        let connections = self.total(Global::ConnectionsOpen);
        let requests = self.total(Global::RequestsInFlight);
        self.outbox.send(
            FromWorker::Draining {
                connections,
                requests,
            },
            Vec::new(),
        );
    }

    fn total(&self, word: Global) -> u64 {
        const { assert!((Global::BytesSent as usize) < GLOBAL_WORDS) };
        let block = block_words(self.summary.sites);
        let values = (0..self.summary.threads).map(|thread| {
            self.counters[thread * block + word as usize].load(std::sync::atomic::Ordering::Relaxed)
        });
        values.fold(0, u64::wrapping_add)
    }
}
