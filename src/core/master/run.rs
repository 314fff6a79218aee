//! The master's life: start, loop, end.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use super::expiry::Told;
use super::figures::Figures;
use super::lasting::Lasting;
use super::names::Names;
use super::orders::Orders;
use super::takeover::LOOK;
use super::{Input, Master, Options};
use crate::core::chronicle::Chronicle;
use crate::core::management::Control;
use crate::core::ports::Door;
use crate::core::process;
use crate::core::sockets::Sockets;
use crate::core::supervisor::Supervisor;
use crate::core::supervisor::event::Event;
use crate::core::supervisor::heartbeat::Rhythm;
use crate::core::takeover::exec;
use crate::core::takeover::program::Program;
use crate::core::takeover::state::{self, State};
use crate::systemd::events::told;
use crate::systemd::{activation, notify};

/// Inputs that wait at most: whoever sends more waits as well.
const INPUTS: usize = 1024;
/// While a start, a reload or a stop is under way, the service manager hears this often that it goes on …
const EXTEND_EVERY: Duration = Duration::from_secs(2);
/// … and allows this much from then on.
const EXTEND_BY: Duration = Duration::from_secs(15);
/// How often the keys of session tickets are looked after.
const HOUR: Duration = Duration::from_secs(3_600);
/// How often certificates are looked at that nobody renewed.
const DAY: Duration = Duration::from_secs(86_400);

/// Runs a master until it is told to stop. The process must have a single thread yet.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    process::raise_file_limit();
    notify::connect();
    let left = state::left_behind().transpose();
    let left = left.context("what the program before left behind is of no use")?;
    let inherited = match left {
        Some(_) => None,
        None => activation::take().context("the sockets from systemd cannot be taken")?,
    };
    let program = Program::of_this_process().context("the path of this program is unknown")?;
    let chronicle = Chronicle::begin();
    let writer = chronicle.clone();
    told::listen(move |told| writer.tell(told.event.name, told.record(&[])));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .context("the master cannot start")?;
    let (sender, inputs) = mpsc::channel(INPUTS);
    let master = Master {
        options,
        program,
        successor: None,
        started: Instant::now(),
        started_at: SystemTime::now(),
        supervisor: Supervisor::new(Rhythm::within(notify::watchdog_limit())),
        events: VecDeque::new(),
        inputs: sender,
        timer: None,
        exit: None,
        sockets: Sockets::new(inherited),
        spare: None,
        candidate: None,
        generations: BTreeMap::new(),
        workers: BTreeMap::new(),
        last_adopter: 0,
        waiting: HashMap::new(),
        last_request: 0,
        refusal: None,
        reloading: None,
        control: None,
        door: None,
        tcp: None,
        logging: None,
        watch: None,
        watch_complaint: None,
        watch_tried: None,
        lost: None,
        shown: String::new(),
        starving: false,
        figures: Figures::default(),
        lasting: Lasting::create().context("memory for the workers cannot be had")?,
        last_reload: None,
        chronicle,
        names: Names::default(),
        orders: Orders::default(),
        told: Told::default(),
        full_reload: true,
    };
    let local = tokio::task::LocalSet::new();
    let code = local.block_on(&runtime, master.live(inputs, left))?;
    // A file that hangs on a dead network drive must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(ExitCode::from(code))
}

impl Master {
    async fn live(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        left: Option<State>,
    ) -> anyhow::Result<u8> {
        let mut signals = Signals::listen().context("signals cannot be received")?;
        exec::release_signals();
        let first = match left {
            Some(state) => {
                self = self.resume(state);
                Event::Resumed
            }
            None => Event::Boot,
        };
        if self.control.is_none() {
            let path = self.options.control.as_deref();
            self.control = Control::open(path, self.inputs.clone());
        }
        let door = self.control.as_ref().map(|control| control.ports());
        self.door = door.and_then(|path| Door::open(path, self.inputs.clone()));
        let mut watchdog = notify::watchdog_limit().map(|limit| ticks(limit / 3));
        let mut day = ticks(DAY);
        let mut hour = ticks(HOUR);
        let mut extension = ticks(EXTEND_EVERY);
        self.feed(first);
        loop {
            if let Some(code) = self.exit {
                return Ok(code);
            }
            let timer = self
                .timer
                .map(|at| tokio::time::Instant::from_std(self.started + at));
            tokio::select! {
                Some(input) = inputs.recv() => self.take(input),
                Some(input) = signals.next() => self.take(input),
                () = sleep_until(timer) => self.feed(Event::Timer),
                () = sleep_until(self.orders.look_at) => self.look_after_orders(),
                () = tick(watchdog.as_mut()) => self.feed_watchdog(),
                _ = day.tick() => self.warn_of_certificates_again(),
                _ = hour.tick() => self.lasting.refresh_tickets(),
                _ = extension.tick(), if self.is_busy() => notify::extend(EXTEND_BY),
                () = tokio::time::sleep(LOOK), if self.successor.is_some() => {}
            }
            self.take_over_when_quiet(&inputs);
        }
    }

    /// Whether something is under way that the service manager waits for.
    fn is_busy(&self) -> bool {
        let supervisor = &self.supervisor;
        supervisor.is_reloading() || supervisor.is_stopping()
    }
}

fn ticks(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Option<Input> {
        tokio::select! {
            _ = self.hangup.recv() => Some(Input::Trigger("received SIGHUP signal")),
            _ = self.terminate.recv() => Some(Input::Stop),
            _ = self.interrupt.recv() => Some(Input::Stop),
            _ = self.user1.recv() => Some(Input::ReopenLogs),
        }
    }
}
