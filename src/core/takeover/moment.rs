//! Points in time on the monotonic clock, which both programs read.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

pub fn to_monotonic(instant: Instant) -> Duration {
    now().saturating_sub(instant.elapsed())
}

pub fn from_monotonic(moment: Duration) -> Instant {
    let age = now().saturating_sub(moment);
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_comes_back() {
        let instant = Instant::now() - Duration::from_secs(3);
        let again = from_monotonic(to_monotonic(instant));
        let apart = again.max(instant) - again.min(instant);
        assert!(apart < Duration::from_millis(50), "{apart:?}");
    }
}
