//! Keys of session tickets (RFC 8446 section 4.6.1, RFC 5077): made by the master in memory that all workers share, so
//! that a client resumes at any worker, before and after a reload. They are on no disk and end with the master.
//!
//! Time is divided into periods. A ticket is sealed with the key of its period and opened until the end of the next one;
//! then the key is overwritten, and what was recorded of those connections cannot be read with it any more.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

use crate::metrics::lasting::{TICKET_KEY_WORDS, TICKET_KEYS};

/// Seconds.
const PERIOD: u64 = 6 * 60 * 60;
/// Words of a key; one in front says of which period it is, zero while there is none.
const KEY_WORDS: usize = 4;
const KEY_BYTES: usize = KEY_WORDS * size_of::<u64>();
/// A ticket begins with its period.
const PREFIX: usize = size_of::<u64>();

/// The key ring in shared memory ([`crate::metrics::lasting::Lasting::ticket_keys`]).
#[derive(Clone, Copy)]
pub struct KeyRing<'a>(&'a [AtomicU64]);

impl<'a> KeyRing<'a> {
    pub fn new(words: &'a [AtomicU64]) -> Self {
        debug_assert_eq!(words.len(), TICKET_KEYS * TICKET_KEY_WORDS);
        Self(words)
    }

    /// Sees to it that there are keys for now and for the next period, and forgets those that are out of use. To be
    /// called by the master alone, at least once in a period.
    pub fn refresh(&self) -> Result<(), NoRandomness> {
        self.refresh_at(period())
    }

    fn refresh_at(&self, now: u64) -> Result<(), NoRandomness> {
        for wanted in [now, now + 1] {
            if self.slot(wanted)[0].load(Ordering::Relaxed) != wanted {
                self.replace(wanted)?;
            }
        }
        // Of the four, two are for later; the one before now is still opened; the last is nobody's.
        let outdated = self.slot(now + 2);
        let of = outdated[0].load(Ordering::Relaxed);
        if of != now + 2 {
            outdated
                .iter()
                .for_each(|word| word.store(0, Ordering::Relaxed));
        }
        Ok(())
    }

    fn replace(&self, period: u64) -> Result<(), NoRandomness> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        let slot = self.slot(period);
        slot[0].store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, part) in slot[1..].iter().zip(bytes.chunks_exact(size_of::<u64>())) {
            let value = part.try_into().expect("a chunk of a word");
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
        slot[0].store(period, Ordering::Release);
        Ok(())
    }

    /// The key of a period, unless it is not there, or is written this very moment.
    fn key(&self, period: u64) -> Option<[u8; KEY_BYTES]> {
        let slot = self.slot(period);
        if slot[0].load(Ordering::Acquire) != period {
            return None;
        }
        let mut bytes = [0; KEY_BYTES];
        for (part, word) in bytes.chunks_exact_mut(size_of::<u64>()).zip(&slot[1..]) {
            part.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        fence(Ordering::Acquire);
        (slot[0].load(Ordering::Relaxed) == period).then_some(bytes)
    }

    fn slot(&self, period: u64) -> &'a [AtomicU64] {
        let index = usize::try_from(period % TICKET_KEYS as u64).expect("less than four");
        let start = index * TICKET_KEY_WORDS;
        &self.0[start..start + TICKET_KEY_WORDS]
    }
}

/// The system has no random numbers to give.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: session tickets are not renewed")]
pub struct NoRandomness;

/// The number of the period that is now; never zero.
fn period() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs() / PERIOD).max(1)
}

/// Seals and opens tickets for the threads of one worker.
pub struct Tickets {
    ring: KeyRing<'static>,
    /// Prepared keys: of this period, and of the one before.
    prepared: RwLock<Vec<(u64, Arc<LessSafeKey>)>>,
}

impl Tickets {
    pub fn new(ring: KeyRing<'static>) -> Arc<Self> {
        Arc::new(Self {
            ring,
            prepared: RwLock::default(),
        })
    }

    fn key(&self, period: u64) -> Option<Arc<LessSafeKey>> {
        let known = self.prepared.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = known.iter().find(|(of, _)| *of == period) {
            return Some(key.clone());
        }
        drop(known);
        let bytes = self.ring.key(period)?;
        let key = Arc::new(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, &bytes).ok()?,
        ));
        let mut prepared = self
            .prepared
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        prepared.retain(|(of, _)| *of != period && of + 1 >= period);
        prepared.push((period, key.clone()));
        Some(key)
    }

    /// A ticket that is opened for the same `purpose` only.
    pub(super) fn seal_for(&self, purpose: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(purpose, plain, period())
    }

    pub(super) fn open_for(&self, purpose: &[u8], ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(purpose, ticket, period())
    }

    fn seal(&self, purpose: &[u8], plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let key = self.key(now)?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let prefix = now.to_be_bytes();
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let bound = Aad::from([&prefix, purpose].concat());
        key.seal_in_place_append_tag(unique, bound, &mut sealed)
            .ok()?;
        Some([&prefix[..], &nonce, &sealed].concat())
    }

    fn open(&self, purpose: &[u8], ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (prefix, rest) = ticket.split_first_chunk::<PREFIX>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let of = u64::from_be_bytes(*prefix);
        if of != now && of.checked_add(1)? != now {
            return None;
        }
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let key = self.key(of)?;
        let length = key
            .open_in_place(nonce, Aad::from([prefix, purpose].concat()), &mut plain)
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    /// Seconds: what the youngest and the oldest ticket of a period have in common.
    fn lifetime(&self) -> u32 {
        PERIOD as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal_for(&[], plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open_for(&[], ticket)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tickets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lasting::Lasting;

    fn ring() -> KeyRing<'static> {
        let ring = KeyRing::new(Lasting::detached().ticket_keys());
        ring.refresh_at(100).unwrap();
        ring
    }

    #[test]
    fn another_worker_opens_it_for_a_period_more() {
        let ring = ring();
        let ticket = Tickets::new(ring).seal(b"", b"session", 100).unwrap();
        for now in [100, 101] {
            ring.refresh_at(now).unwrap();
            let opened = Tickets::new(ring).open(b"", &ticket, now);
            assert_eq!(opened.as_deref(), Some(&b"session"[..]), "{now}");
        }
        ring.refresh_at(102).unwrap();
        assert!(Tickets::new(ring).open(b"", &ticket, 102).is_none());
    }

    #[test]
    fn a_key_out_of_use_is_forgotten() {
        let ring = ring();
        let key = ring.key(100).unwrap();
        for now in 101..=102 {
            ring.refresh_at(now).unwrap();
        }
        assert!(ring.key(100).is_none());
        for now in 100..110 {
            ring.refresh_at(now).unwrap();
            assert_ne!(ring.key(now).unwrap(), key);
        }
    }

    #[test]
    fn what_was_changed_or_is_short_is_no_ticket() {
        let tickets = Tickets::new(ring());
        let ticket = tickets.seal(b"", b"session", 100).unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert!(tickets.open(b"", &changed, 100).is_none(), "byte {at}");
            assert!(
                tickets.open(b"", &ticket[..at], 100).is_none(),
                "{at} bytes"
            );
        }
    }

    #[test]
    fn for_another_purpose_it_is_none() {
        let tickets = Tickets::new(ring());
        let ticket = tickets.seal(b"one", b"session", 100).unwrap();
        assert!(tickets.open(b"one", &ticket, 100).is_some());
        for other in [&b""[..], b"on", b"other"] {
            assert!(tickets.open(other, &ticket, 100).is_none());
        }
    }

    #[test]
    fn without_a_key_there_are_no_tickets() {
        let tickets = Tickets::new(ring());
        assert!(tickets.seal(b"", b"session", 200).is_none());
        let last = u64::MAX.to_be_bytes();
        assert!(
            tickets
                .open(b"", &[&last[..], &[0; 64]].concat(), 0)
                .is_none()
        );
    }
}
