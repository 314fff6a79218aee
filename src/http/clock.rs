//! Time that is cheap to ask for.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the monotonic clock, as fine as the kernel's tick (1 to 10 ms).
pub(super) fn now_ms() -> u64 {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}
