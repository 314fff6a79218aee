//! What became of each request, told apart, and the sums over all clients.

use std::fmt;
use std::time::Duration;

/// The fate of a request. Everything but `Answered` is a failure that a user would see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered in full, with the right status and content.
    Answered,
    /// No connection: ECONNREFUSED, or it was reset before the request could leave.
    Refused,
    /// ECONNRESET or EPIPE after the request began to leave.
    Reset,
    /// The connection ended in order, without a byte of a response to a request that was sent.
    Lost,
    /// The response broke off.
    Truncated,
    /// The response began and did not end in time.
    TimedOut,
    /// Not a byte of a response in time.
    Unanswered,
    /// Header and body, or parts of the body, are of different configurations.
    Mixed,
    /// An answer that is none: a wrong status, a wrong length, bytes that are no HTTP.
    Wrong,
}

pub const OUTCOMES: [Outcome; 9] = [
    Outcome::Answered,
    Outcome::Refused,
    Outcome::Reset,
    Outcome::Lost,
    Outcome::Truncated,
    Outcome::TimedOut,
    Outcome::Unanswered,
    Outcome::Mixed,
    Outcome::Wrong,
];

/// What happens beside requests; none of it costs a user anything but a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    ConnectionOpened,
    /// The peer's end was seen before the next request was sent.
    ClosedWhileIdle,
    /// A reset was seen before the next request was sent: nothing lost, but not polite.
    ResetWhileIdle,
    /// The response said `Connection: close`, or GOAWAY came.
    GracefulClose,
    /// HTTP/2: the client *knows* from GOAWAY or REFUSED_STREAM that the request was not processed, and sends it again.
    Unprocessed,
    /// The same, but the client had GOAWAY in hand when its request left: its own fault (RFC 9113 section 6.8).
    SentTooLate,
}

pub const EVENTS: [Event; 6] = [
    Event::ConnectionOpened,
    Event::ClosedWhileIdle,
    Event::ResetWhileIdle,
    Event::GracefulClose,
    Event::Unprocessed,
    Event::SentTooLate,
];

const KEPT_NOTES: usize = 8;

/// The sums of one client, or of many merged.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    outcomes: [u64; OUTCOMES.len()],
    events: [u64; EVENTS.len()],
    /// Of answered requests, microseconds.
    latencies: Vec<u32>,
    /// The first few failures in words.
    pub notes: Vec<String>,
}

impl Tally {
    pub fn record(&mut self, outcome: Outcome, took: Duration) {
        self.outcomes[outcome as usize] += 1;
        if outcome == Outcome::Answered {
            self.latencies
                .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if self.notes.len() < KEPT_NOTES {
            self.notes.push(text());
        }
    }

    pub fn event(&mut self, event: Event) {
        self.events[event as usize] += 1;
    }

    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    pub fn events(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// Requests whose fate is known, whatever it is.
    pub fn requests(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    pub fn failures(&self) -> u64 {
        self.requests() - self.count(Outcome::Answered)
    }

    pub fn merge(&mut self, other: Self) {
        let add = |sum: &mut u64, more: &u64| *sum += more;
        self.outcomes
            .iter_mut()
            .zip(&other.outcomes)
            .for_each(|(sum, more)| add(sum, more));
        self.events
            .iter_mut()
            .zip(&other.events)
            .for_each(|(sum, more)| add(sum, more));
        self.latencies.extend(other.latencies);
        self.notes.extend(other.notes);
        self.notes.truncate(KEPT_NOTES);
    }

    /// Median, 99th percentile and maximum of the answered requests.
    pub fn latency(&self) -> [Duration; 3] {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = |share: f64| {
            let last = sorted.len().saturating_sub(1) as f64;
            let value = sorted
                .get((last * share).round() as usize)
                .copied()
                .unwrap_or(0);
            Duration::from_micros(u64::from(value))
        };
        [at(0.5), at(0.99), at(1.0)]
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} requests:", self.requests())?;
        for outcome in OUTCOMES {
            if self.count(outcome) > 0 {
                write!(formatter, " {outcome:?} {}", self.count(outcome))?;
            }
        }
        for event in EVENTS {
            if self.events(event) > 0 {
                write!(formatter, ", {event:?} {}", self.events(event))?;
            }
        }
        let [median, p99, longest] = self.latency();
        write!(formatter, ", p50 {median:?}, p99 {p99:?}, max {longest:?}")?;
        self.notes
            .iter()
            .try_for_each(|note| write!(formatter, "\n    {note}"))
    }
}

#[test]
fn a_merge_adds_up_and_keeps_failures_apart() {
    let mut all = Tally::default();
    for outcome in OUTCOMES {
        let mut one = Tally::default();
        one.record(outcome, Duration::from_millis(1));
        one.event(Event::ConnectionOpened);
        all.merge(one);
    }
    assert_eq!(
        (
            all.requests(),
            all.failures(),
            all.events(Event::ConnectionOpened)
        ),
        (9, 8, 9)
    );
    assert_eq!(all.latency(), [Duration::from_millis(1); 3]);
}
