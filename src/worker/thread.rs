//! One serving thread: what its tasks share, and what it does on the control loop's word.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

use super::access_log::{self, AccessLog, Writer};
use super::activity::{Activity, Clock, Order};
use super::drain::{self, Idle};
use super::parked::{self, Entry, Parked, Reason, Socket};
use super::tunnel::{self, Passenger};
use super::{accept, sweep};
use crate::config::types::Config;
use crate::http::service::{Connection, Service, Shared};
use crate::ipc::message::Travelling;
use crate::metrics::counters::{Global, Recorder};
use crate::tls::TlsListener;
use crate::tls::challenges::Challenges;

/// What all threads of the process share.
pub struct Process {
    pub config: Arc<Config>,
    pub http: Arc<Shared>,
    /// By listener index; `None` for cleartext.
    pub tls: Vec<Option<TlsListener>>,
    /// What authorities are shown; None: no site needs it.
    pub challenges: Option<Arc<Challenges>>,
    /// Where requests are logged.
    pub access_log: Option<Arc<Writer>>,
}

/// From the control loop to a thread.
pub enum Command {
    Accept,
    StopAccepting,
    Drain { deadline: Duration, idle: Idle },
    Adopt { connections: Vec<Arrival> },
    AdoptTunnel(Box<Passenger>),
    Ping { sequence: u64 },
}

/// An idle connection that leaves for the next generation.
#[derive(Debug)]
pub struct Departure {
    pub connection: Travelling,
    pub socket: OwnedFd,
}

/// An idle connection that comes from the generation before.
#[derive(Debug)]
pub struct Arrival {
    pub listener: u32,
    pub peer: Option<SocketAddr>,
    pub served: bool,
    pub socket: OwnedFd,
}

/// From a thread to the control loop.
#[derive(Debug)]
pub enum Report {
    Ready,
    StoppedAccepting,
    Pong {
        sequence: u64,
    },
    /// Idle connections for the next generation.
    HandOver {
        connections: Vec<Departure>,
    },
    /// Names of upstreams stand for something new.
    NamesLearned,
    /// Somebody asks for the page of all figures.
    MetricsWanted,
    /// A tunnel for the next generation.
    HandOverTunnel(Box<Passenger>),
    Finished,
    Failed {
        message: String,
    },
}

/// What the tasks of a thread share.
pub struct Thread {
    pub process: Arc<Process>,
    pub service: Rc<Service>,
    pub recorder: Recorder,
    pub access_log: Option<Rc<AccessLog>>,
    pub clock: Rc<Clock>,
    pub active: RefCell<Slab<Active>>,
    pub parked: Parked,
    pub draining: Cell<bool>,
    /// While draining with a next generation: where idle cleartext connections leave by.
    pub way_out: RefCell<Option<mpsc::UnboundedSender<Report>>>,
    /// Connections, whatever their state.
    pub open: Cell<u32>,
    /// Most connections this thread may have.
    pub limit: u32,
    /// A connection went away.
    pub left: Notify,
}

/// An entry of the table that the sweep walks.
pub struct Active {
    pub activity: Rc<Activity>,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Cleartext HTTP/1: can be parked.
    Http1,
    /// HTTP/1 over TLS: stays.
    Http1Tls,
    Http2,
    /// None of these any more, and bytes go both ways.
    Tunnel,
}

impl Thread {
    /// Whether new connections may come in.
    pub fn has_room(&self) -> bool {
        self.open.get() < self.limit
    }

    /// Whether an idle connection on `connection`'s listener leaves for the next generation.
    pub fn hands_over(&self, connection: &Connection) -> bool {
        !connection.secure && self.way_out.borrow().is_some()
    }

    /// Gives an order to every active connection.
    pub fn order_all(&self, order: Order, which: impl Fn(&Active) -> bool) {
        for (_, active) in self.active.borrow().iter() {
            if which(active) {
                active.activity.give(order);
            }
        }
    }
}

/// One connection's place among those that a thread may have.
pub struct Admission(Rc<Thread>);

impl Admission {
    pub fn new(thread: &Rc<Thread>) -> Self {
        thread.open.set(thread.open.get() + 1);
        thread.recorder.add(Global::ConnectionsOpen, 1);
        Self(thread.clone())
    }

    pub fn thread(&self) -> &Rc<Thread> {
        &self.0
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.recorder.subtract(Global::ConnectionsOpen, 1);
        self.0.left.notify_waiters();
    }
}

/// A connection's entry in [`Thread::active`]; gone when dropped.
pub struct Listed {
    thread: Rc<Thread>,
    key: usize,
}

impl Listed {
    pub fn new(thread: &Rc<Thread>, activity: &Rc<Activity>, protocol: Protocol) -> Self {
        let active = Active {
            activity: activity.clone(),
            protocol,
        };
        if protocol == Protocol::Tunnel {
            thread.recorder.add(Global::TunnelsOpen, 1);
        }
        let key = thread.active.borrow_mut().insert(active);
        Self {
            thread: thread.clone(),
            key,
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let active = self.thread.active.borrow_mut().remove(self.key);
        if active.protocol == Protocol::Tunnel {
            self.thread.recorder.subtract(Global::TunnelsOpen, 1);
        }
    }
}

/// What a thread is made from.
pub struct Outfit {
    pub process: Arc<Process>,
    pub recorder: Recorder,
    /// Listener index and a copy of its socket.
    pub sockets: Vec<(u32, OwnedFd)>,
    pub limit: u32,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub reports: mpsc::UnboundedSender<Report>,
}

/// The body of a serving thread.
pub fn run(outfit: Outfit) {
    let reports = outfit.reports.clone();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| LocalSet::new().block_on(&runtime, serve(outfit)));
    let report = match outcome {
        Ok(()) => Report::Finished,
        Err(error) => Report::Failed {
            message: format!("a serving thread failed: {error}"),
        },
    };
    // Nobody listens only when the control loop has ended, and then the process ends.
    let _ = reports.send(report);
}

async fn serve(outfit: Outfit) -> std::io::Result<()> {
    let Outfit {
        process,
        recorder,
        sockets,
        limit,
        mut commands,
        reports,
    } = outfit;
    let access_log = process.access_log.clone().map(|writer| {
        let log = AccessLog::new(process.config.logging.format, writer, recorder);
        tokio::task::spawn_local(access_log::keep_flushing(log.clone()));
        log
    });
    let thread = Rc::new(Thread {
        access_log,
        service: Service::new(process.http.clone(), recorder),
        process,
        recorder,
        clock: Rc::default(),
        active: RefCell::default(),
        parked: Parked::new()?,
        draining: Cell::new(false),
        way_out: RefCell::default(),
        open: Cell::new(0),
        limit,
        left: Notify::new(),
    });
    let mut doors = accept::Doors::new(&thread, sockets)?;
    tokio::task::spawn_local(sweep::run(thread.clone()));
    tokio::task::spawn_local(super::parked::watch(thread.clone()));
    thread.service.start_checks();
    let _ = reports.send(Report::Ready);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Accept => doors.open(),
            Command::StopAccepting => {
                doors.close();
                let _ = reports.send(Report::StoppedAccepting);
            }
            Command::Ping { sequence } => {
                let _ = reports.send(Report::Pong { sequence });
            }
            Command::Adopt { connections } => adopt(&thread, connections),
            Command::AdoptTunnel(passenger) => tunnel::resume(*passenger, &thread),
            Command::Drain { deadline, idle } => {
                doors.close();
                if idle == Idle::Travels {
                    open_way_out(&thread, &reports);
                }
                drain::run(&thread, (deadline, idle), &mut commands, &reports).await;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Takes connections of an older generation in; a client that has spoken already is served at once.
pub fn adopt(thread: &Rc<Thread>, connections: Vec<Arrival>) {
    for Arrival {
        listener,
        peer,
        served,
        socket,
    } in connections
    {
        let socket = if peer.is_some() {
            Socket::Tcp(socket)
        } else {
            Socket::Unix(socket)
        };
        let (since, admission) = (thread.clock.now(), Admission::new(thread));
        let reason = Reason::Idle { served };
        parked::rest(Entry {
            socket,
            listener,
            peer,
            reason,
            since,
            admission,
        });
    }
}

/// From now on idle cleartext connections, and cleartext tunnels, leave for the next generation.
pub fn open_way_out(thread: &Rc<Thread>, reports: &mpsc::UnboundedSender<Report>) {
    *thread.way_out.borrow_mut() = Some(reports.clone());
    thread.order_all(Order::Park, |active| {
        matches!(active.protocol, Protocol::Http1 | Protocol::Tunnel)
    });
    thread.parked.take_idle().into_iter().for_each(parked::rest);
}
