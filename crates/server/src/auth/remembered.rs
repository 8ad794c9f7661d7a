//! Passwords that were right a moment ago, so that the twenty blobs of a pull do not cost twenty slow checks.
//!
//! Only keyed hashes are kept, for a short time, and with the hash that they were checked against: who changes a password
//! or removes a user does not wait for anything.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use upstream::Clock;

use super::accounts::Slow;

/// How long.
const LIFE: Duration = Duration::from_secs(300);
/// How many; beyond that all are forgotten that are older than half of it, and then all.
const CAPACITY: usize = 4_096;

/// A name, a password and the hash that it was checked against.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) struct Fingerprint([u8; 32]);

/// Those of one process.
pub(super) struct Remembered {
    key: [u8; 32],
    clock: Clock,
    right: Mutex<HashMap<Fingerprint, Instant>>,
}

impl Remembered {
    /// Nothing. Without randomness nothing ever is.
    pub(super) fn new(clock: Clock) -> Self {
        let mut key = [0; 32];
        if let Err(error) = getrandom::fill(&mut key) {
            tracing::warn!(%error, "no randomness to remember passwords by; each is checked each time");
            key = [0; 32];
        }
        Self { key, clock, right: Mutex::default() }
    }

    pub(super) fn fingerprint(&self, name: &str, password: &SecretString, slow: &Slow) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update(self.key);
        for part in [name, password.expose_secret(), slow.text()] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().into())
    }

    pub(super) fn holds(&self, fingerprint: &Fingerprint) -> bool {
        let now = self.clock.now();
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(fingerprint).is_some_and(|until| now < *until)
    }

    pub(super) fn keep(&self, fingerprint: Fingerprint) {
        if self.key == [0; 32] {
            return;
        }
        let now = self.clock.now();
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= CAPACITY {
            right.retain(|_, until| *until > now + LIFE / 2);
            if right.len() >= CAPACITY {
                right.clear();
            }
        }
        right.insert(fingerprint, now + LIFE);
    }
}

impl Fingerprint {
    /// One of so many places, which nobody can choose who does not know the key.
    pub(super) fn place(&self, places: usize) -> usize {
        let [first, ..] = self.0;
        usize::from(first).checked_rem(places).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_ends() {
        let passed = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let (start, seconds) = (Instant::now(), std::sync::Arc::clone(&passed));
        let clock =
            Clock::by(move || start + Duration::from_secs(seconds.load(std::sync::atomic::Ordering::SeqCst)));
        let remembered = Remembered::new(clock);
        let slow = Slow::nobody();
        let of = |number: usize| remembered.fingerprint("ci", &number.to_string().into(), &slow);
        for number in 0..3 * CAPACITY {
            remembered.keep(of(number));
        }
        assert!(remembered.right.lock().unwrap().len() <= CAPACITY);
        let last = of(3 * CAPACITY - 1);
        assert!(remembered.holds(&last));
        passed.store(LIFE.as_secs(), std::sync::atomic::Ordering::SeqCst);
        assert!(!remembered.holds(&last));
    }

    #[test]
    fn no_two_pairs_have_one_fingerprint() {
        let remembered = Remembered::new(Clock::default());
        let of =
            |name: &str, password: &str| remembered.fingerprint(name, &password.into(), &Slow::nobody()).0;
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(Remembered::new(Clock::default()).key, remembered.key);
    }
}
