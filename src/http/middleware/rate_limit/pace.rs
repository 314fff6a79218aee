//! How fast a client may go: the generic cell rate algorithm (ITU-T I.371), which is a token bucket that needs no more
//! than the time at which it will be full again.

use std::time::Duration;

use crate::config::types;

/// Time, in [`UNIT`]s since the machine started; it goes round in more than a year.
pub(super) type Moment = u64;

/// Units of a millisecond.
const UNIT: u64 = 32;
/// Bits of a [`Moment`].
pub(super) const MOMENT_BITS: u32 = 40;
const MASK: u64 = (1 << MOMENT_BITS) - 1;

/// What is remembered of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// When the bucket is full again; or, for one who is blocked, when that ends.
    pub(super) until: Moment,
    pub(super) is_blocked: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Between two requests of a client that goes on and on.
    interval: u64,
    /// What a client that was quiet may use up at once.
    burst: u64,
    /// Zero: not at all.
    block: u64,
}

/// What becomes of a request, and what to remember if that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allow(Memory),
    /// For so many units.
    Refuse(u64, Option<Memory>),
}

impl Pace {
    pub(super) fn new(rate: &types::Rate, block: Duration) -> Self {
        let interval = (60_000 * UNIT / u64::from(rate.requests_per_minute.max(1))).max(1);
        Self {
            interval,
            burst: interval * u64::from(rate.burst_size.max(1)),
            block: units(block),
        }
    }

    pub(super) fn decide(&self, memory: Memory, now: Moment) -> Decision {
        let left = left(memory.until, now).min(self.burst.max(self.block));
        if memory.is_blocked && left > 0 {
            return Decision::Refuse(left, None);
        }
        let filled = left + self.interval;
        if filled <= self.burst {
            return Decision::Allow(Memory {
                until: now.wrapping_add(filled) & MASK,
                is_blocked: false,
            });
        }
        if self.block == 0 {
            return Decision::Refuse(filled - self.burst, None);
        }
        let memory = Memory {
            until: now.wrapping_add(self.block) & MASK,
            is_blocked: true,
        };
        Decision::Refuse(self.block, Some(memory))
    }
}

/// How long it is until `moment`; zero when it is past.
pub(super) fn left(moment: Moment, now: Moment) -> u64 {
    let ahead = moment.wrapping_sub(now) & MASK;
    if ahead > MASK / 2 { 0 } else { ahead }
}

/// `milliseconds` since the machine started.
pub(super) fn moment(milliseconds: u64) -> Moment {
    milliseconds.wrapping_mul(UNIT) & MASK
}

/// Whole seconds, at least one.
pub(super) fn seconds(units: u64) -> u64 {
    units.div_ceil(1000 * UNIT).max(1)
}

fn units(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(MASK) * UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(requests_per_minute: u32, burst_size: u32, block: u64) -> Pace {
        let rate = types::Rate {
            requests_per_minute,
            burst_size,
        };
        Pace::new(&rate, Duration::from_secs(block))
    }

    /// The seconds among `times` (in milliseconds) at which a request is refused, with its `Retry-After`.
    fn refused(pace: Pace, times: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        let (mut memory, mut refused) = (Memory::default(), Vec::new());
        for time in times {
            match pace.decide(memory, moment(time)) {
                Decision::Allow(next) => memory = next,
                Decision::Refuse(units, next) => {
                    refused.push((time, seconds(units)));
                    memory = next.unwrap_or(memory);
                }
            }
        }
        refused
    }

    #[test]
    fn a_burst_then_one_by_one() {
        // One a second, three at once; the fourth waits for a second.
        let times = [
            0, 0, 0, 0, 999, 1000, 1000, 2000, 10_000, 10_000, 10_000, 10_000,
        ];
        let expected = [(0, 1), (999, 1), (1000, 1), (10_000, 1)];
        assert_eq!(refused(pace(60, 3, 0), times), expected);
        assert_eq!(refused(pace(1, 1, 0), [0, 30_000, 60_000]), [(30_000, 30)]);
        // 1000 a second, for a second: nobody who keeps to it is refused.
        assert_eq!(refused(pace(60_000, 1, 0), 0..1000), []);
    }

    #[test]
    fn who_goes_too_far_is_blocked_for_a_time_and_not_longer() {
        let times = [0, 0, 1000, 299_000, 300_000, 300_000];
        let expected = [(0, 300), (1000, 299), (299_000, 1), (300_000, 300)];
        assert_eq!(refused(pace(60, 1, 300), times), expected);
    }

    #[test]
    fn time_goes_round() {
        let end = MASK / UNIT;
        let times = [end, end, end + 1000, end + 2000].map(|time| time + 1);
        assert_eq!(refused(pace(60, 1, 0), times), [(end + 1, 1)]);
    }

    #[test]
    fn a_smaller_burst_counts_from_now_on() {
        let large = Memory {
            until: moment(3_600_000),
            is_blocked: false,
        };
        let decision = pace(60, 2, 0).decide(large, 0);
        assert!(matches!(decision, Decision::Refuse(units, None) if seconds(units) == 1));
    }
}
