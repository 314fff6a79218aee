//! What is known of upstream servers, in memory that workers of all generations and the master share: a
//! cache line for each, found by the server's identity.

use std::sync::atomic::{AtomicU64, Ordering};

use super::lasting::UPSTREAM_WORDS;

/// Slots among which an identity has its place.
const SET: usize = 16;

/// A word of a slot, after its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Word {
    /// [`State`].
    State = 1,
    /// Requests that were given to it.
    Requests,
    /// Of these, those that it did not answer.
    Failures,
    /// How often it was taken out.
    Ejections,
    /// Requests that it was given because another one failed.
    Retries,
    /// When it last went down or came back: milliseconds since the epoch.
    Changed,
    /// Why it is down: [`Cause`].
    Cause,
}

const _: () = assert!(Word::Cause as usize + 1 == UPSTREAM_WORDS);

/// Who a server is, whatever the configuration calls it next: its site, its pool, its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64);

impl Identity {
    pub fn new(site: &str, pool: &str, address: &str) -> Self {
        let parts = [site, pool, address];
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
        // FNV-1a, the same in every version.
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mix(hash).max(1))
    }

    /// The same for ever; well mixed.
    pub fn hash(self) -> u64 {
        self.0
    }
}

/// Spreads what little differs between two numbers over all bits (the finalizer of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// One server's words.
#[derive(Clone, Copy)]
pub struct Slot<'a>(&'a [AtomicU64]);

impl<'a> Slot<'a> {
    pub fn word(&self, word: Word) -> &'a AtomicU64 {
        &self.0[word as usize]
    }

    pub fn value(&self, word: Word) -> u64 {
        self.word(word).load(Ordering::Relaxed)
    }

    pub fn state(&self) -> State {
        State::unpack(self.value(Word::State))
    }

    pub fn cause(&self) -> Option<Cause> {
        Cause::ALL
            .into_iter()
            .find(|cause| *cause as u64 == self.value(Word::Cause))
    }
}

impl Slot<'static> {
    /// The slot of `identity` in `region`, from now on its own; one that nobody shares when there is no room.
    pub fn claim(region: &'static [AtomicU64], identity: Identity) -> Self {
        // Another claims as well: then the first look finds what was free a moment ago taken, perhaps by itself.
        for _ in 0..=SET {
            if let Some(slot) = Slot::find(region, identity) {
                return slot;
            }
            let Some(free) =
                set(region, identity).find(|slot| slot[0].load(Ordering::Acquire) == 0)
            else {
                break;
            };
            let own = free[0].compare_exchange(0, identity.0, Ordering::AcqRel, Ordering::Acquire);
            if own.is_ok() {
                return Self(free);
            }
        }
        let words: Vec<AtomicU64> = (0..UPSTREAM_WORDS).map(|_| AtomicU64::new(0)).collect();
        Self(Vec::leak(words))
    }
}

impl<'a> Slot<'a> {
    /// The slot of `identity`, if it ever had one.
    pub fn find(region: &'a [AtomicU64], identity: Identity) -> Option<Self> {
        set(region, identity)
            .find(|slot| slot[0].load(Ordering::Acquire) == identity.0)
            .map(Self)
    }
}

fn set(region: &[AtomicU64], identity: Identity) -> impl Iterator<Item = &[AtomicU64]> {
    let sets = (region.len() / (SET * UPSTREAM_WORDS)).max(1);
    let number = usize::try_from(identity.0 % sets as u64).unwrap_or_default();
    region
        .chunks_exact(UPSTREAM_WORDS)
        .skip(number * SET)
        .take(SET)
}

/// How a server is, in one word: zero is a server of which nothing bad is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub condition: Condition,
    /// Health checks say that it is down.
    pub failed_checks: bool,
    /// How often it was taken out without a healthy time in between.
    pub level: u8,
    /// Requests in a row that it did not answer.
    pub streak: u8,
    /// [`Condition::Out`]: when it may be tried. [`Condition::Rising`]: since when. Milliseconds of [`now`].
    pub at: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Up,
    /// Taken out.
    Out,
    /// Back, with a share of the requests that grows.
    Rising,
}

const TIME_BITS: u32 = 44;
const CONDITION_SHIFT: u32 = 62;
const CHECKS_SHIFT: u32 = 61;
const LEVEL_SHIFT: u32 = 52;
const STREAK_SHIFT: u32 = 44;
/// Beyond it a level says nothing more.
pub const MAX_LEVEL: u8 = 31;

impl State {
    pub fn unpack(word: u64) -> Self {
        let byte = |shift: u32| u8::try_from((word >> shift) & 0xff).unwrap_or_default();
        Self {
            condition: match word >> CONDITION_SHIFT {
                0 => Condition::Up,
                1 => Condition::Out,
                _ => Condition::Rising,
            },
            failed_checks: (word >> CHECKS_SHIFT) & 1 == 1,
            level: byte(LEVEL_SHIFT),
            streak: byte(STREAK_SHIFT),
            at: word & ((1 << TIME_BITS) - 1),
        }
    }

    pub fn pack(self) -> u64 {
        let condition = match self.condition {
            Condition::Up => 0,
            Condition::Out => 1,
            Condition::Rising => 2,
        };
        (condition << CONDITION_SHIFT)
            | (u64::from(self.failed_checks) << CHECKS_SHIFT)
            | (u64::from(self.level.min(MAX_LEVEL)) << LEVEL_SHIFT)
            | (u64::from(self.streak) << STREAK_SHIFT)
            | (self.at & ((1 << TIME_BITS) - 1))
    }

    /// Whether requests go to it.
    pub fn is_healthy(self) -> bool {
        self.condition != Condition::Out && !self.failed_checks
    }
}

/// Why a server is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Cause {
    Refused = 1,
    ConnectTimeout,
    /// It closed connections without an answer.
    Reset,
    /// Its answers came too late.
    Timeout,
    /// A health check was answered with another status than 2xx or 3xx.
    CheckStatus,
    /// A health check was not answered.
    CheckSilence,
}

impl Cause {
    const ALL: [Self; 6] = [
        Self::Refused,
        Self::ConnectTimeout,
        Self::Reset,
        Self::Timeout,
        Self::CheckStatus,
        Self::CheckSilence,
    ];

    /// For operators.
    pub fn text(self) -> &'static str {
        match self {
            Self::Refused => "cannot be connected to",
            Self::ConnectTimeout => "connecting takes too long",
            Self::Reset => "closed connections without an answer",
            Self::Timeout => "answered too late",
            Self::CheckStatus => "health check: answered with an error",
            Self::CheckSilence => "health check: no answer",
        }
    }
}

/// Milliseconds of a clock that all processes share, and that nobody sets (clock_gettime(2), CLOCK_MONOTONIC).
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1000 + u64::try_from(time.tv_nsec / 1_000_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(slots: usize) -> &'static [AtomicU64] {
        Vec::leak(
            (0..slots * UPSTREAM_WORDS)
                .map(|_| AtomicU64::new(0))
                .collect(),
        )
    }

    #[test]
    fn a_server_is_found_again_by_its_identity() {
        let region = region(4 * SET);
        let names: Vec<String> = (0..20)
            .map(|number| format!("10.0.0.{number}:80"))
            .collect();
        let identity = |name: &str| Identity::new("site", "pool", name);
        for (number, name) in names.iter().enumerate() {
            assert!(Slot::find(region, identity(name)).is_none());
            let slot = Slot::claim(region, identity(name));
            slot.word(Word::Requests)
                .store(number as u64, Ordering::Relaxed);
        }
        for (number, name) in names.iter().enumerate() {
            let slot = Slot::claim(region, identity(name));
            assert_eq!(slot.value(Word::Requests), number as u64);
        }
        assert_ne!(
            Identity::new("a", "bc", "").hash(),
            Identity::new("ab", "c", "").hash()
        );
    }

    #[test]
    fn a_full_set_is_no_disaster() {
        let region = region(SET);
        for number in 0..2 * SET {
            let identity = Identity::new("site", "pool", &number.to_string());
            let slot = Slot::claim(region, identity);
            slot.word(Word::Requests).store(1, Ordering::Relaxed);
            assert_eq!(Slot::find(region, identity).is_some(), number < SET);
        }
    }

    #[test]
    fn a_state_survives_its_word() {
        assert_eq!(State::unpack(0), State::default());
        assert_eq!(State::default().pack(), 0);
        for condition in [Condition::Up, Condition::Out, Condition::Rising] {
            let state = State {
                condition,
                failed_checks: condition == Condition::Out,
                level: MAX_LEVEL,
                streak: 200,
                at: (1 << TIME_BITS) - 1,
            };
            assert_eq!(State::unpack(state.pack()), state);
        }
    }
}
