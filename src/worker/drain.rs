//! The end of a thread: no new connections, and the open ones leave politely.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::activity::Order;
use super::parked::Reason;
use super::sweep::TICK;
use super::thread::{Command, Protocol, Report, Thread, adopt, open_way_out};
use super::tunnel;

/// The part of the deadline, at its end, over which the closing of idle connections is spread: their clients will all
/// come back, and not in one moment.
const CLOSING_PART: u32 = 4;

/// Lets every connection end politely, for `deadline` at most.
pub async fn run(
    thread: &Rc<Thread>,
    deadline: Duration,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    reports: &mpsc::UnboundedSender<Report>,
) {
    thread.draining.set(true);
    thread.service.stop_checks();
    thread.order_all(Order::Drain, |active| active.protocol == Protocol::Http2);
    let mut end = Instant::now() + deadline;
    let mut closing = tokio::task::spawn_local(close_idle(thread.clone(), deadline));
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
                Command::Drain { deadline, hand_over } => {
                    if hand_over {
                        open_way_out(thread, reports);
                    }
                    end = Instant::now() + deadline;
                    closing.abort();
                    closing = tokio::task::spawn_local(close_idle(thread.clone(), deadline));
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

/// Closes, in the last part of the deadline, what is idle then, a share at a time.
async fn close_idle(thread: Rc<Thread>, deadline: Duration) {
    let part = deadline / CLOSING_PART;
    let shares = usize::try_from(part.as_millis() / TICK.as_millis())
        .unwrap_or(1)
        .max(1);
    tokio::time::sleep(deadline - part).await;
    for share in 0..shares {
        let mine = |key: usize| key % shares == share;
        for (key, active) in thread.active.borrow().iter() {
            if mine(key) && active.activity.is_idle() {
                active.activity.give(Order::Close);
            }
        }
        let idle = |reason| matches!(reason, Reason::Idle { .. });
        thread
            .parked
            .close_those(|key, entry| mine(key) && idle(entry.reason));
        tokio::time::sleep(TICK).await;
    }
}
