//! A bounded cache by weight, sharded by key. Each shard keeps a young and an old generation: when the young one is
//! full it becomes the old one, and what is asked for again moves back; cheaper than an exact recency list and as good here.
//! It must not know what it holds; whoever reads must check that the value is still the one wanted.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 16;

/// Cache of cheap-to-clone values.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hasher: RandomState,
    /// Weight that one generation of one shard may hold.
    generation: usize,
}

#[derive(Debug)]
struct Shard<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    weight: usize,
}

impl<K: Copy + Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache that holds at most `capacity` of weight.
    pub(crate) fn new(capacity: usize) -> Self {
        let shard = || Shard { young: HashMap::new(), old: HashMap::new(), weight: 0 };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::new(),
            generation: capacity / SHARDS / 2,
        }
    }

    /// The value last inserted under `key`, unless it has been pushed out.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let shard = self.shard(key)?;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((value, _)) = shard.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = shard.old.remove(key)?;
        shard.insert(*key, value.clone(), weight, self.generation);
        Some(value)
    }

    /// Keeps `value`, unless it alone is heavier than what one generation may hold.
    pub(crate) fn insert(&self, key: K, value: V, weight: usize) {
        if weight > self.generation {
            return;
        }
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.old.remove(&key);
        shard.insert(key, value, weight, self.generation);
    }

    fn shard(&self, key: &K) -> Option<&Mutex<Shard<K, V>>> {
        // The top bits choose the shard; the table inside hashes with other keys.
        let choice = self.hasher.hash_one(key) >> 60;
        self.shards.get(usize::try_from(choice).ok()?)
    }
}

impl<K: Copy + Eq + Hash, V> Shard<K, V> {
    fn insert(&mut self, key: K, value: V, weight: usize, generation: usize) {
        if self.weight + weight > generation {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        if let Some((_, before)) = self.young.insert(key, (value, weight)) {
            self.weight -= before;
        }
        self.weight += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<K, V> Cache<K, V> {
        fn held(&self) -> usize {
            let weight = |map: &HashMap<K, (V, usize)>| map.values().map(|(_, weight)| weight).sum::<usize>();
            self.shards
                .iter()
                .map(|shard| {
                    let shard = shard.lock().unwrap();
                    weight(&shard.young) + weight(&shard.old)
                })
                .sum()
        }
    }

    #[test]
    fn what_was_inserted_is_found_and_replaced() {
        let cache = Cache::new(3200);
        cache.insert(1_u32, "one", 10);
        cache.insert(1, "uno", 20);
        assert_eq!(cache.get(&1), Some("uno"));
        assert_eq!(cache.get(&2), None);
        assert_eq!(cache.held(), 20);
    }

    #[test]
    fn the_capacity_is_never_exceeded() {
        let cache = Cache::new(3200);
        for key in 0..10_000_u32 {
            cache.insert(key, (), usize::try_from(key % 100).unwrap());
            cache.get(&(key / 2));
            assert!(cache.held() <= 3200);
        }
    }

    #[test]
    fn what_is_asked_for_often_survives_a_stream_of_others() {
        let cache = Cache::new(32_000);
        cache.insert(0_u32, (), 10);
        for key in 1..10_000 {
            cache.insert(key, (), 10);
            assert!(cache.get(&0).is_some(), "lost after {key}");
        }
    }

    #[test]
    fn a_value_too_heavy_for_a_generation_is_not_kept() {
        let cache = Cache::new(320);
        cache.insert(1_u32, (), 11);
        assert_eq!(cache.get(&1), None);
    }
}
