//! Whether a password is right, without holding up other requests: hashing is meant to be slow, so it runs on threads
//! of its own, few at a time, and what was right is kept in mind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use sha_crypt::{PasswordVerifier as _, ShaCrypt};
use tokio::sync::Semaphore;

use crate::http::clock;

/// Right passwords that are kept in mind, as hashes under a key of this process.
const KNOWN: usize = 4096;
/// Requests that may wait for each CPU that hashes.
const WAITING: usize = 64;
/// SHA-crypt takes longer with the length; crypt(5) takes no more either.
const MAX_PASSWORD: usize = 512;

type Digest = [u8; 32];

/// Shared by the threads of a worker.
pub(super) struct Verifier {
    key: hmac::Key,
    /// With the time of the last use.
    known: Mutex<HashMap<Digest, u64>>,
    permits: Arc<Semaphore>,
    /// Requests that hash, or wait to.
    asking: AtomicUsize,
    most: usize,
}

/// Too many ask at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

impl Verifier {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let permits = (cpus / 2).max(1);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            known: Mutex::default(),
            permits: Arc::new(Semaphore::new(permits)),
            asking: AtomicUsize::new(0),
            most: permits * WAITING,
        }
    }

    /// Whether this password was right for this hash not long ago.
    pub(super) fn knows(&self, hash: &str, password: &[u8]) -> bool {
        let digest = self.digest(hash, password);
        match self.known().get_mut(&digest) {
            Some(used) => {
                *used = clock::now_ms();
                true
            }
            None => false,
        }
    }

    /// Whether `password` is right for `hash`.
    pub(super) async fn verify(&self, hash: Arc<str>, password: Vec<u8>) -> Result<bool, Busy> {
        let _asking = Asking::new(self).ok_or(Busy)?;
        let permits = self.permits.clone();
        let permit = permits.acquire_owned().await.map_err(|_| Busy)?;
        // Another request of the same client may have been faster.
        if self.knows(&hash, &password) {
            return Ok(true);
        }
        let digest = self.digest(&hash, &password);
        let hashing = tokio::task::spawn_blocking(move || {
            // A client that leaves does not stop the thread: the permit goes with it.
            let _permit = permit;
            matches(&hash, &password)
        });
        let right = hashing.await.unwrap_or(false);
        if right {
            self.keep(digest);
        }
        Ok(right)
    }

    /// A number for a name, always the same in this process, that nobody can foretell.
    pub(super) fn number(&self, name: &str) -> u64 {
        let digest = self.digest("", name.as_bytes());
        u64::from_le_bytes(digest[..8].try_into().expect("eight bytes"))
    }

    fn keep(&self, digest: Digest) {
        let mut known = self.known();
        if known.len() >= KNOWN {
            let oldest = known.iter().min_by_key(|(_, used)| **used);
            let oldest = oldest.map(|(digest, _)| *digest);
            oldest.and_then(|digest| known.remove(&digest));
        }
        known.insert(digest, clock::now_ms());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash has its salt, so it stands for user and file.
    fn digest(&self, hash: &str, password: &[u8]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(hash.len() as u64).to_le_bytes());
        context.update(hash.as_bytes());
        context.update(password);
        let mut digest = Digest::default();
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

/// One of those who ask.
struct Asking<'a>(&'a Verifier);

impl<'a> Asking<'a> {
    fn new(verifier: &'a Verifier) -> Option<Self> {
        let before = verifier.asking.fetch_add(1, Ordering::Relaxed);
        let asking = Self(verifier);
        (before < verifier.most).then_some(asking)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Compares in constant time; takes as long as the hash wants.
fn matches(hash: &str, password: &[u8]) -> bool {
    if password.len() > MAX_PASSWORD {
        return false;
    }
    if hash.starts_with("$2") {
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    ShaCrypt::default().verify_password(password, hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::run;

    /// As 'openssl passwd' and crypt(3) make them.
    const HASHES: [(&str, &str); 4] = [
        (
            "Hello world!",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        (
            "Hello world!",
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        ),
        (
            "Hello world!",
            "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
        ),
        (
            "U*U",
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ),
    ];

    #[test]
    fn right_and_wrong_passwords() {
        for (password, hash) in HASHES {
            assert!(matches(hash, password.as_bytes()), "{hash}");
            assert!(!matches(hash, b"wrong"), "{hash}");
            assert!(!matches(hash, &[b'x'; 100_000]), "{hash}");
        }
        assert!(!matches("$6$damaged", b"x"));
    }

    #[test]
    fn what_was_right_is_kept_in_mind_and_nothing_else() {
        run(async {
            let verifier = Verifier::new(&[1; 32]);
            let (password, hash) = HASHES[3];
            let ask = |password: &str| verifier.verify(hash.into(), password.as_bytes().to_vec());
            assert_eq!(ask("wrong").await, Ok(false));
            assert!(!verifier.knows(hash, b"wrong"));
            assert!(!verifier.knows(hash, password.as_bytes()));
            assert_eq!(ask(password).await, Ok(true));
            assert!(verifier.knows(hash, password.as_bytes()));
            assert!(!verifier.knows(HASHES[2].1, password.as_bytes()));
        });
    }

    #[test]
    fn memory_and_queue_are_bounded() {
        let verifier = Verifier::new(&[1; 32]);
        for number in 0..=KNOWN as u32 {
            let mut digest = Digest::default();
            digest[..4].copy_from_slice(&number.to_le_bytes());
            verifier.keep(digest);
        }
        assert_eq!(verifier.known().len(), KNOWN);
        let asking: Vec<_> = (0..verifier.most).map(|_| Asking::new(&verifier)).collect();
        assert!(asking.iter().all(Option::is_some));
        assert!(Asking::new(&verifier).is_none());
        drop(asking);
        assert!(Asking::new(&verifier).is_some());
    }
}
