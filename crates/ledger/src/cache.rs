//! A bounded cache by weight that is read without a lock: a table of small sets whose places are swapped as a whole.
//! What was read since the hand last came by stays a round longer; cheaper than an exact recency list and as good here.
//! It must not know what it holds; whoever reads must check that the value is still the one wanted.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use arc_swap::ArcSwapOption;

/// Places of a set; with their prints they fill one cache line.
const WAYS: usize = 4;

/// Cache of values that are looked at in place.
pub(crate) struct Cache<K, V> {
    sets: Box<[Set<K, V>]>,
    hasher: RandomState,
    capacity: usize,
    /// Weight of what the places hold.
    weight: AtomicUsize,
    /// The place that is looked at next when something has to go.
    hand: AtomicUsize,
}

type Set<K, V> = [Place<K, V>; WAYS];

struct Place<K, V> {
    /// Hash of the key, so that only the entry wanted is looked at.
    print: AtomicU64,
    entry: ArcSwapOption<Entry<K, V>>,
}

struct Entry<K, V> {
    key: K,
    value: V,
    weight: usize,
    /// Read since the hand last came by.
    used: AtomicBool,
}

impl<K: Hash, V> Cache<K, V> {
    /// A cache that holds at most `capacity` of weight, made for values that weigh `typical`.
    pub(crate) fn new(capacity: usize, typical: usize) -> Self {
        let sets = (capacity / typical.max(1) / WAYS).next_power_of_two();
        let place = || Place { print: AtomicU64::new(0), entry: ArcSwapOption::empty() };
        Self {
            sets: (0..sets).map(|_| std::array::from_fn(|_| place())).collect(),
            hasher: RandomState::new(),
            capacity,
            weight: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
        }
    }

    /// What `look` makes of the value last inserted under `key`, unless it has been pushed out. `key` hashes as the
    /// key that it is compared with.
    pub(crate) fn look<Q, T>(&self, key: &Q, look: impl FnOnce(&V) -> T) -> Option<T>
    where
        Q: Hash + PartialEq<K>,
    {
        let print = self.hasher.hash_one(key);
        for place in self.set(print)?.iter().filter(|place| place.print.load(Relaxed) == print) {
            let entry = place.entry.load();
            if let Some(entry) = entry.as_deref().filter(|entry| *key == entry.key) {
                // Written only when it changes: a line that all cores read is not torn between them.
                if !entry.used.load(Relaxed) {
                    entry.used.store(true, Relaxed);
                }
                return Some(look(&entry.value));
            }
        }
        None
    }

    /// Keeps `value`, unless it alone would push out a large part of the others.
    pub(crate) fn insert(&self, key: K, value: V, weight: usize)
    where
        K: PartialEq,
    {
        let print = self.hasher.hash_one(&key);
        let Some(set) = self.set(print) else { return };
        if weight > self.capacity / 16 {
            return;
        }
        let Some(place) = place_for(set, print, &key) else { return };
        let entry = Entry { key, value, weight, used: AtomicBool::new(false) };
        self.weight.fetch_add(weight, Relaxed);
        place.print.store(print, Relaxed);
        self.forget(place.entry.swap(Some(Arc::new(entry))));
        self.make_room();
    }

    fn set(&self, print: u64) -> Option<&Set<K, V>> {
        // The number of sets is a power of two.
        let mask = self.sets.len() - 1;
        self.sets.get(usize::try_from(print & u64::MAX >> 1).unwrap_or(0) & mask)
    }

    /// Pushes out what was not read lately until the rest fits; twice around finds enough in any case.
    fn make_room(&self) {
        for _ in 0..self.sets.len() * WAYS * 2 {
            if self.weight.load(Relaxed) <= self.capacity {
                return;
            }
            let hand = self.hand.fetch_add(1, Relaxed) % (self.sets.len() * WAYS);
            let Some(place) = self.sets.get(hand / WAYS).and_then(|set| set.get(hand % WAYS)) else { return };
            let kept = place.entry.load().as_ref().is_some_and(|entry| entry.used.swap(false, Relaxed));
            if !kept {
                self.forget(place.entry.swap(None));
            }
        }
    }

    fn forget(&self, entry: Option<Arc<Entry<K, V>>>) {
        if let Some(entry) = entry {
            self.weight.fetch_sub(entry.weight, Relaxed);
        }
    }
}

/// The place of `key` itself, an empty one, one that was not read lately, or any.
fn place_for<'a, K: PartialEq, V>(set: &'a Set<K, V>, print: u64, key: &K) -> Option<&'a Place<K, V>> {
    let holds = |place: &&Place<K, V>, want: &dyn Fn(&Entry<K, V>) -> bool| {
        place.entry.load().as_deref().is_some_and(want)
    };
    let own = set
        .iter()
        .find(|place| place.print.load(Relaxed) == print && holds(place, &|entry| entry.key == *key));
    let empty = || set.iter().find(|place| place.entry.load().is_none());
    let unused = || set.iter().find(|place| !holds(place, &|entry| entry.used.swap(false, Relaxed)));
    own.or_else(empty).or_else(unused).or_else(|| set.get(usize::try_from(print >> 62).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<K: Hash + PartialEq, V: Copy> Cache<K, V> {
        fn get(&self, key: &K) -> Option<V> {
            self.look(key, |value| *value)
        }

        fn held(&self) -> usize {
            let places = self.sets.iter().flatten();
            places.filter_map(|place| place.entry.load().as_ref().map(|entry| entry.weight)).sum()
        }
    }

    #[test]
    fn what_was_inserted_is_found_and_replaced() {
        let cache = Cache::new(3200, 10);
        cache.insert(1_u32, "one", 10);
        cache.insert(1, "uno", 20);
        assert_eq!(cache.get(&1), Some("uno"));
        assert_eq!(cache.get(&2), None);
        assert_eq!(cache.held(), 20);
    }

    #[test]
    fn the_capacity_is_never_exceeded() {
        let cache = Cache::new(3200, 10);
        for key in 0..10_000_u32 {
            cache.insert(key, (), usize::try_from(key % 100).unwrap());
            cache.get(&(key / 2));
            assert!(cache.held() <= 3200);
            assert_eq!(cache.held(), cache.weight.load(Relaxed));
        }
    }

    #[test]
    fn what_is_asked_for_often_survives_a_stream_of_others() {
        let cache = Cache::new(32_000, 10);
        cache.insert(0_u32, (), 10);
        for key in 1..10_000 {
            cache.insert(key, (), 10);
            assert!(cache.get(&0).is_some(), "lost after {key}");
        }
    }

    #[test]
    fn most_of_what_fits_is_kept() {
        let cache = Cache::new(32_768, 1);
        (0..10_000_u32).for_each(|key| cache.insert(key, (), 1));
        let found = (0..10_000).filter(|key| cache.get(key).is_some()).count();
        assert!(found > 9_500, "{found}");
    }

    #[test]
    fn a_value_too_heavy_is_not_kept_and_pushes_nothing_out() {
        let cache = Cache::new(320, 10);
        cache.insert(1_u32, (), 10);
        cache.insert(2, (), 21);
        assert_eq!((cache.get(&1), cache.get(&2)), (Some(()), None));
    }

    #[test]
    fn many_threads_leave_the_weight_what_it_is() {
        let cache = Cache::new(1000, 10);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let cache = &cache;
                scope.spawn(move || {
                    for key in 0..5_000 {
                        cache.insert(key % (50 + thread), thread, usize::try_from(key % 37).unwrap());
                        cache.get(&(key % 61));
                    }
                });
            }
        });
        assert_eq!(cache.held(), cache.weight.load(Relaxed));
        assert!(cache.held() <= 1000);
    }
}
