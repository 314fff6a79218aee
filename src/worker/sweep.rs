//! One timer for all connections of a thread: parks those that idle, ends those that take too long.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::activity::{Activity, Order, Pace, Ticks};
use super::hang_up;
use super::memory;
use super::parked::{Entry, Reason};
use super::thread::{Active, Protocol, Thread};
use super::waiting::Demand;
use crate::config::types::{Config, Site, SiteIndex};
use crate::metrics::counters::Global;

/// The grain of all connection timeouts.
pub const TICK: Duration = Duration::from_millis(250);

/// How many ticks a connection must be idle to be parked.
const PARK_AFTER: Ticks = 2;

/// How often parked connections are looked at, and unused memory is given back.
const PARKED_EVERY: Ticks = 4;

/// How long to wait for a client to close after our last word.
const LINGER: Duration = Duration::from_secs(2);

/// The configured limits in ticks.
struct Limits {
    header: Ticks,
    keep_alive: Ticks,
    request: Demand,
    /// Of sites that have their own.
    requests: HashMap<SiteIndex, Demand>,
    linger: Ticks,
}

impl Limits {
    fn new(config: &Config) -> Self {
        let performance = &config.performance;
        let demand = |time| demand(time, performance.min_rate);
        let own =
            |(index, site): (usize, &Site)| Some((index as u32, demand(site.request_timeout?)));
        Self {
            header: ticks(performance.header_timeout),
            keep_alive: ticks(performance.keep_alive_timeout),
            request: demand(performance.request_timeout),
            requests: config.sites.iter().enumerate().filter_map(own).collect(),
            linger: ticks(LINGER),
        }
    }

    fn order(&self, active: &Active) -> Option<Order> {
        let activity = &active.activity;
        let quiet = activity.quiet();
        if activity.in_block() >= self.header {
            return Some(Order::Close);
        }
        if active.protocol == Protocol::Tunnel {
            return (quiet >= activity.patience.get()).then_some(Order::Close);
        }
        if activity.waits_for_client() {
            if active.protocol == Protocol::Http2 && !self.judges_whole(activity) {
                return None;
            }
            return self.falls_short(activity).then_some(Order::TooSlow);
        }
        if activity.in_flight.get() > 0 {
            let looks = active.protocol != Protocol::Http2 && hang_up::is_due(quiet);
            return looks.then_some(Order::Look);
        }
        activity.pace.set(Pace::default());
        match active.protocol {
            // A drained connection gets its GOAWAY first; what still stands a tick later is closed.
            Protocol::Http2 if quiet > self.keep_alive + 8 => Some(Order::Close),
            Protocol::Http2 => (quiet >= self.keep_alive).then_some(Order::Drain),
            _ if activity.head_started.get() => {
                (quiet >= self.header).then_some(Order::HeadTimeout)
            }
            Protocol::Http1 => (quiet >= PARK_AFTER).then_some(Order::Park),
            Protocol::Http1Tls | Protocol::Tunnel => {
                (quiet >= self.keep_alive).then_some(Order::Close)
            }
        }
    }

    /// Whether this order is for what the client does not do.
    fn is_too_slow(&self, active: &Active, order: Order) -> bool {
        let late = active.activity.in_block() >= self.header;
        late || matches!(order, Order::TooSlow | Order::HeadTimeout)
    }

    /// What the client of a site must do while it is waited for.
    fn demand(&self, site: Option<SiteIndex>) -> Demand {
        let own = site.and_then(|site| self.requests.get(&site));
        own.copied().unwrap_or(self.request)
    }

    /// HTTP/2: of the streams that wait, the one with the most time; HTTP/1: of the last request.
    fn demand_of_all(&self, activity: &Activity) -> Demand {
        let streams = activity.waiting.most_patient(|site| self.demand(site));
        streams.unwrap_or_else(|| self.demand(activity.site.get()))
    }

    /// HTTP/2: each stream has its own pace. The connection's counts when nothing at all can be written.
    fn judges_whole(&self, activity: &Activity) -> bool {
        let demand = |site| self.demand(site);
        activity.waiting.judge(&activity.whole(), demand);
        activity.write_blocked.get()
    }

    /// Whether a client moved less than it must, in as many ticks in which it was waited for.
    fn falls_short(&self, activity: &Activity) -> bool {
        let Pace { ticks, mark } = activity.pace.get();
        let demand = self.demand_of_all(activity);
        if ticks > 0 && ticks < demand.ticks {
            let ticks = ticks + 1;
            activity.pace.set(Pace { ticks, mark });
            return false;
        }
        let moved = activity.moved();
        activity.pace.set(Pace {
            ticks: 1,
            mark: moved,
        });
        // The difference may be negative: bytes went into the kernel's queue only.
        ticks > 0
            && i64::try_from(demand.least)
                .is_ok_and(|least| (moved.wrapping_sub(mark) as i64) < least)
    }

    fn expired(&self, entry: &Entry, now: Ticks) -> bool {
        let limit = match entry.reason {
            Reason::Idle { served: true } => self.keep_alive,
            Reason::Idle { served: false } => self.header,
            Reason::Lingering { .. } => self.linger,
        };
        now.wrapping_sub(entry.since) >= limit
    }
}

fn demand(time: Duration, min_rate: u64) -> Demand {
    Demand {
        ticks: ticks(time),
        least: ((min_rate as f64 * time.as_secs_f64()) as u64).max(1),
    }
}

pub fn ticks(duration: Duration) -> Ticks {
    let ticks = duration.as_millis().div_ceil(TICK.as_millis());
    // More than ten years is for ever, and far below where the clock wraps.
    Ticks::try_from(ticks)
        .unwrap_or(Ticks::MAX)
        .clamp(1, Ticks::MAX / 4)
}

/// Runs as long as the thread.
pub async fn run(thread: Rc<Thread>) {
    let limits = Limits::new(&thread.process.config);
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        thread.clock.advance();
        for (_, active) in thread.active.borrow().iter() {
            if let Some(order) = limits.order(active) {
                if limits.is_too_slow(active, order) && !active.activity.shed.replace(true) {
                    thread.recorder.add(Global::ConnectionsTooSlow, 1);
                }
                active.activity.give(order);
            }
        }
        let now = thread.clock.now();
        if now % PARKED_EVERY == 0 {
            thread
                .parked
                .close_those(|_, entry| limits.expired(entry, now));
            memory::give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::activity::{Activity, Clock};

    fn limits() -> Limits {
        let demand = |ticks, least| Demand { ticks, least };
        Limits {
            header: 10,
            keep_alive: 60,
            request: demand(30, 1000),
            requests: HashMap::from([(1, demand(50, 2000))]),
            linger: 8,
        }
    }

    fn after(protocol: Protocol, ticks: Ticks, prepare: impl Fn(&Activity)) -> Option<Order> {
        let clock = Rc::new(Clock::default());
        let activity = Rc::new(Activity::new(clock.clone()));
        prepare(&activity);
        (0..ticks).for_each(|_| clock.advance());
        limits().order(&Active { activity, protocol })
    }

    /// The first order that a client gets which is waited for, and in which tick; it moves `bytes` with each.
    fn stalled(bytes: u64) -> Option<(Ticks, Order)> {
        let clock = Rc::new(Clock::default());
        let activity = Rc::new(Activity::new(clock.clone()));
        activity.in_flight.set(1);
        activity.write_blocked.set(true);
        let active = Active {
            activity: activity.clone(),
            protocol: Protocol::Http2,
        };
        (1..200).find_map(|tick| {
            clock.advance();
            activity.note_taken(bytes, 0);
            activity.touch();
            Some((tick, limits().order(&active)?))
        })
    }

    #[test]
    fn an_idle_cleartext_connection_is_parked() {
        assert_eq!(after(Protocol::Http1, 1, |_| ()), None);
        assert_eq!(after(Protocol::Http1, 2, |_| ()), Some(Order::Park));
        assert_eq!(after(Protocol::Http1Tls, 2, |_| ()), None);
        assert_eq!(after(Protocol::Http1Tls, 60, |_| ()), Some(Order::Close));
    }

    #[test]
    fn a_head_that_drips_in_is_timed_from_its_first_byte() {
        let drip = |activity: &Activity| activity.note_read();
        assert_eq!(after(Protocol::Http1, 9, drip), None);
        assert_eq!(after(Protocol::Http1, 10, drip), Some(Order::HeadTimeout));
    }

    #[test]
    fn a_request_in_hand_is_left_alone_unless_the_client_stalls() {
        let busy = |activity: &Activity| activity.in_flight.set(1);
        assert_eq!(after(Protocol::Http1, 999, busy), None);
        assert_eq!(after(Protocol::Http1, 1000, busy), Some(Order::Look));
        assert_eq!(after(Protocol::Http2, 1000, busy), None);
        assert_eq!(stalled(0), Some((31, Order::TooSlow)));
    }

    #[test]
    fn bytes_now_and_then_do_not_help() {
        assert_eq!(stalled(33), Some((31, Order::TooSlow)));
        assert_eq!(stalled(34), None);
    }

    #[test]
    fn a_site_may_have_a_time_of_its_own() {
        let blocked = |activity: &Activity| {
            activity.in_flight.set(1);
            activity.write_blocked.set(true);
        };
        let (clock, limits) = (Rc::new(Clock::default()), limits());
        let [one, other] = [1, 2].map(|site| {
            let activity = Rc::new(Activity::new(clock.clone()));
            blocked(&activity);
            activity.site.set(Some(site));
            let protocol = Protocol::Http1;
            Active { activity, protocol }
        });
        let first =
            |active: &Active| (1..200).find(|_| limits.order(active) == Some(Order::TooSlow));
        assert_eq!((first(&one), first(&other)), (Some(51), Some(31)));
    }

    #[test]
    fn absurd_durations_do_not_overflow() {
        assert_eq!(ticks(Duration::MAX), Ticks::MAX / 4);
        assert_eq!(ticks(Duration::ZERO), 1);
    }
}
