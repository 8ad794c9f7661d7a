//! The tag map: a path-compressed binary Merkle Patricia tree over all tags.
//!
//! Persistent: a clone is a snapshot that shares its nodes, so that the map of the head and that of
//! the published checkpoint are both at hand. Hashes are computed when a root or proof is asked for,
//! once for each node. Knows keys and values, not what they mean.

mod node;
mod prefix;
mod proof;

use tlog::Hash;

use self::node::{Child, Inner, first_difference};
pub use self::prefix::{PrefixProof, TooManyTags, root_from_prefix_proof};
pub use self::proof::{MapProof, root_from_proof};
use crate::TagKey;

/// Where a key's current leaf is, and its hash: `u64be(leaf index) || leaf hash` in the map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MapValue {
    /// Place in the log.
    pub index: u64,
    /// RFC 6962 hash of the leaf.
    pub leaf_hash: Hash,
}

/// The map; cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct TagMap {
    root: Option<Child>,
    count: u64,
}

impl TagMap {
    /// Without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// From keys in ascending order; of equal neighbours the later one stays.
    ///
    /// Keys out of order would make another tree, whose root no index leaf has.
    pub fn from_sorted(entries: impl IntoIterator<Item = (TagKey, MapValue)>) -> Self {
        let mut count = 0;
        // Left subtrees that wait for their right sibling, with the bit at which they part.
        let mut waiting: Vec<(u16, Child)> = Vec::new();
        let mut rightmost: Option<(TagKey, Child)> = None;
        for (key, value) in entries {
            let leaf = Child::leaf(key, value);
            let Some((previous, subtree)) = rightmost.take() else {
                (rightmost, count) = (Some((key, leaf)), 1);
                continue;
            };
            let Some(bit) = first_difference(&previous, &key) else {
                rightmost = Some((key, leaf));
                continue;
            };
            let mut left = subtree;
            while let Some((at, sibling)) = waiting.pop_if(|(at, _)| *at > bit) {
                left = Child::inner(at, sibling, left);
            }
            waiting.push((bit, left));
            rightmost = Some((key, leaf));
            count += 1;
        }
        let root = rightmost.map(|(_, subtree)| {
            waiting.into_iter().rev().fold(subtree, |right, (bit, left)| Child::inner(bit, left, right))
        });
        Self { root, count }
    }

    /// Sets a key's value.
    pub fn insert(&mut self, key: TagKey, value: MapValue) {
        let Some(root) = &mut self.root else {
            self.root = Some(Child::leaf(key, value));
            self.count = 1;
            return;
        };
        let (neighbour, _) = root.nearest(&key);
        let bit = first_difference(&neighbour, &key);
        root.place(bit, key, value);
        self.count += u64::from(bit.is_some());
    }

    /// A key's value.
    pub fn get(&self, key: &TagKey) -> Option<MapValue> {
        let (found, value) = self.root.as_ref()?.nearest(key);
        (found == *key).then_some(value)
    }

    /// How many keys.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The root's hash; SHA-256 of nothing for an empty map.
    pub fn root(&self) -> Hash {
        self.root.as_ref().map_or(Hash::EMPTY, Child::hash)
    }

    /// Proves what the map says of a key: its value, or that it has none.
    pub fn prove(&self, key: &TagKey) -> MapProof {
        let mut siblings: Vec<(u16, Hash)> = Vec::with_capacity(40);
        let mut at = match &self.root {
            None => return MapProof::empty(),
            Some(root) => root,
        };
        while let Child::Inner(inner) = at {
            let Inner { bit, left, right, .. } = &**inner;
            let (next, sibling) = if node::bit(key, *bit) { (right, left) } else { (left, right) };
            siblings.push((*bit, sibling.hash()));
            at = next;
        }
        let (found, value) = at.nearest(key);
        siblings.reverse();
        MapProof::new(key, &found, value, &siblings)
    }
}

#[cfg(test)]
mod tests;
