//! How long to wait.

/// Since the epoch, or a span.
pub type Seconds = i64;

/// Before the second attempt.
const FIRST: Seconds = 60;
const LONGEST: Seconds = 12 * 3600;
/// Authorities count what they refuse for an hour and longer.
const LIMIT: Seconds = 3600;

/// An authority that does not answer, or refuses everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    pub(super) failures: u32,
    pub(super) until: Seconds,
}

impl Pause {
    pub(super) fn first() -> Self {
        Self {
            failures: 1,
            until: 0,
        }
    }

    pub(super) fn next(self) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            ..self
        }
    }
}

/// After so many failures: twice as long each time, and never at the same moment as others.
pub(super) fn backoff(failures: u32, chance: f64) -> Seconds {
    let doubled = FIRST << failures.saturating_sub(1).min(16);
    spread(doubled.min(LONGEST), chance)
}

/// After a limit of the authority was reached.
pub(super) fn after_limit(failures: u32, chance: f64) -> Seconds {
    let doubled = LIMIT << failures.saturating_sub(1).min(8);
    spread(doubled.min(LONGEST), chance)
}

/// Between three quarters and five quarters of a time.
fn spread(time: Seconds, chance: f64) -> Seconds {
    (time as f64 * (0.75 + 0.5 * chance.clamp(0.0, 1.0))) as Seconds
}

/// When a certificate is two thirds through its life, or a little before, each site at another moment.
pub(super) fn renewal(not_before: Seconds, not_after: Seconds, share: f64) -> Seconds {
    let life = not_after.saturating_sub(not_before).max(0) as f64;
    not_before.saturating_add((life * (2.0 / 3.0 - share / 30.0)) as Seconds)
}

/// Always the same between 0 and 1 for a name.
pub(super) fn share(name: &str) -> f64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 32) as f64 / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_and_ends_somewhere() {
        let waits: Vec<_> = (1..=5).map(|failures| backoff(failures, 0.5)).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960]);
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST * 5 / 4);
        assert_eq!((backoff(1, 0.0), backoff(1, 1.0)), (45, 75));
        assert!(after_limit(1, 0.0) >= 2700);
    }

    #[test]
    fn renewal_is_at_two_thirds_or_a_little_before() {
        assert_eq!(renewal(0, 90, 0.0), 60);
        assert_eq!(renewal(0, 90, 1.0), 57);
        assert_eq!(renewal(i64::MAX, i64::MIN, 0.5), i64::MAX);
        let shares = ["a", "b", "site-1", "site-2"].map(share);
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        assert!(shares[2] != shares[3]);
    }
}
