//! The end of a thread: no new connections, and the open ones leave politely.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::activity::{Order, Ticks};
use super::parked::Reason;
use super::sweep::TICK;
use super::thread::{Active, Command, Protocol, Report, Thread, adopt, open_way_out};
use super::tunnel;

/// What becomes of idle connections in a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Those that can go to the next generation; the others stay.
    Travels,
    /// They stay to the last part of the deadline.
    Stays,
    /// They are closed: nobody will serve them here any more, and whoever comes next waits for us to be gone.
    Leaves,
}

/// The part of the deadline, at its end, over which the closing of idle connections is spread: their clients will all
/// come back, and not in one moment.
const CLOSING_PART: u32 = 4;

/// When nobody comes after us: how long a client must have been silent to be closed. Who asks sooner is told with the
/// answer.
const SILENT: Ticks = 4;

/// In how many ticks each of them had its turn.
const SHARES: usize = 4;

/// Lets every connection end politely, for `deadline` at most.
pub async fn run(
    thread: &Rc<Thread>,
    (deadline, idle): (Duration, Idle),
    commands: &mut mpsc::UnboundedReceiver<Command>,
    reports: &mpsc::UnboundedSender<Report>,
) {
    thread.draining.set(true);
    thread.service.stop_checks();
    thread.order_all(Order::Drain, |active| active.protocol == Protocol::Http2);
    let mut end = Instant::now() + deadline;
    let mut closing = tokio::task::spawn_local(close_idle(thread.clone(), deadline, idle));
    loop {
        let left = thread.left.notified();
        if thread.open.get() == 0 {
            return;
        }
        tokio::select! {
            () = left => {}
            () = tokio::time::sleep_until(end) => return,
            Some(command) = commands.recv() => match command {
                Command::Ping { sequence } => {
                    let _ = reports.send(Report::Pong { sequence });
                }
                // A later word knows more.
                Command::Drain { deadline, idle } => {
                    if idle == Idle::Travels {
                        open_way_out(thread, reports);
                    }
                    end = Instant::now() + deadline;
                    closing.abort();
                    closing = tokio::task::spawn_local(close_idle(thread.clone(), deadline, idle));
                }
                Command::StopAccepting => {
                    let _ = reports.send(Report::StoppedAccepting);
                }
                Command::Adopt { connections } => adopt(thread, connections),
                Command::AdoptTunnel(passenger) => tunnel::resume(*passenger, thread),
                Command::Accept => {}
            }
        }
    }
}

async fn close_idle(thread: Rc<Thread>, deadline: Duration, idle: Idle) {
    match idle {
        Idle::Travels | Idle::Stays => close_in_last_part(&thread, deadline).await,
        Idle::Leaves => close_silent(&thread).await,
    }
}

/// Closes, in the last part of the deadline, what is idle then, a share at a time.
async fn close_in_last_part(thread: &Thread, deadline: Duration) {
    let part = deadline / CLOSING_PART;
    let shares = usize::try_from(part.as_millis() / TICK.as_millis())
        .unwrap_or(1)
        .max(1);
    tokio::time::sleep(deadline - part).await;
    for share in 0..shares {
        close_those(thread, |key, _| key % shares == share);
        tokio::time::sleep(TICK).await;
    }
}

/// Closes again and again what has been silent for a while, a share at a time.
async fn close_silent(thread: &Thread) {
    for share in (0..SHARES).cycle() {
        tokio::time::sleep(TICK).await;
        close_those(thread, |key, silent| {
            silent >= SILENT && key % SHARES == share
        });
    }
}

/// Closes the idle connections among those that `chosen` says, by their place and the ticks of their silence.
fn close_those(thread: &Thread, chosen: impl Fn(usize, Ticks) -> bool) {
    for (key, active) in thread.active.borrow().iter() {
        if active.activity.is_idle() && chosen(key, silence(active)) {
            active.activity.give(Order::Close);
        }
    }
    let now = thread.clock.now();
    thread.parked.close_those(|key, entry| {
        matches!(entry.reason, Reason::Idle { .. }) && chosen(key, now.wrapping_sub(entry.since))
    });
}

/// A tunnel ends between two of its frames, however much it says.
fn silence(active: &Active) -> Ticks {
    match active.protocol {
        Protocol::Tunnel => Ticks::MAX,
        _ => active.activity.quiet(),
    }
}
