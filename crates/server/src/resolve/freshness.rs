//! When each tag was last found to be unmoved, so that a check may be skipped for a while.
//!
//! Bounded, in memory, disposable: forgetting costs one question to upstream. Knows no tags' meaning.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use taglog::TagKey;

/// Tags remembered in one shard.
const SHARD_CAPACITY: usize = 8_192;
const SHARDS: usize = 16;

/// The time of each tag's last successful check.
#[derive(Debug)]
pub(crate) struct Freshness {
    window: Duration,
    shards: Vec<RwLock<HashMap<TagKey, Instant>>>,
}

impl Freshness {
    /// Checks stay fresh for `window`; zero: never.
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }

    /// Whether the last check is recent enough at `now`.
    pub(crate) fn is_fresh(&self, key: &TagKey, now: Instant) -> bool {
        if self.window.is_zero() {
            return false;
        }
        let Some(shard) = self.shard(key) else { return false };
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        shard.get(key).is_some_and(|checked| now.saturating_duration_since(*checked) < self.window)
    }

    /// Notes that `key` was found unmoved at `now`.
    pub(crate) fn note(&self, key: TagKey, now: Instant) {
        if self.window.is_zero() {
            return;
        }
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_CAPACITY {
            let window = self.window;
            shard.retain(|_, checked| now.saturating_duration_since(*checked) < window);
            if shard.len() >= SHARD_CAPACITY {
                shard.clear();
            }
        }
        shard.insert(key, now);
    }

    /// Forgets `key`: what it means has changed.
    pub(crate) fn forget(&self, key: &TagKey) {
        if let Some(shard) = self.shard(key) {
            shard.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
    }

    fn shard(&self, key: &TagKey) -> Option<&RwLock<HashMap<TagKey, Instant>>> {
        // The last byte is one of a hash.
        let byte = key.as_bytes().last().copied().unwrap_or_default();
        self.shards.get(usize::from(byte) % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use oci::{Name, Tag};

    use super::*;

    fn key(tag: &str) -> TagKey {
        TagKey::of(&Name::parse_canonical("ghcr.io/org/app").unwrap(), &Tag::parse(tag).unwrap())
    }

    #[test]
    fn a_check_is_fresh_within_its_window_only() {
        let freshness = Freshness::new(Duration::from_secs(60));
        let start = Instant::now();
        assert!(!freshness.is_fresh(&key("v1"), start));
        freshness.note(key("v1"), start);
        assert!(freshness.is_fresh(&key("v1"), start + Duration::from_secs(59)));
        assert!(!freshness.is_fresh(&key("v1"), start + Duration::from_secs(60)));
        assert!(!freshness.is_fresh(&key("v2"), start));
        freshness.forget(&key("v1"));
        assert!(!freshness.is_fresh(&key("v1"), start));
    }

    #[test]
    fn without_a_window_nothing_is_fresh() {
        let freshness = Freshness::new(Duration::ZERO);
        let now = Instant::now();
        freshness.note(key("v1"), now);
        assert!(!freshness.is_fresh(&key("v1"), now));
    }

    #[test]
    fn memory_is_bounded_whatever_is_pulled() {
        let freshness = Freshness::new(Duration::from_secs(60));
        let now = Instant::now();
        for number in 0..300_000_u64 {
            let mut bytes = [0; 64];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            freshness.note(TagKey::from_bytes(bytes), now);
        }
        let kept: usize = freshness.shards.iter().map(|shard| shard.read().unwrap().len()).sum();
        assert!(kept <= SHARDS * SHARD_CAPACITY, "{kept}");
    }
}
