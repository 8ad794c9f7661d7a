//! Proofs of all keys under a prefix: in our map, all tags of a repository.
//!
//! Present: the subtree is rebuilt from its keys and values; the path leads from it to the root. No
//! key: absence of `prefix || 0…0`, whose neighbour then differs within the prefix, so that no other
//! key can begin with it either. One spelling in both cases.

use tlog::Hash;

use super::node::{self, Child};
use super::proof::{alternative, climb, write_path};
use super::{MapValue, TagMap, root_from_proof};
use crate::{ProofError, TagKey};

/// Bits of a prefix.
const PREFIX_BITS: u16 = 256;
const PREFIX_BYTES: usize = 32;

/// What a map says of a prefix, in a form that can be checked against its root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PrefixProof {
    entries: Vec<(TagKey, MapValue)>,
    bytes: Vec<u8>,
}

/// More keys under a prefix than the caller wants to hear of.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the repository has more than {limit} recorded tags, which is more than one proof holds; replay the log instead"
)]
pub struct TooManyTags {
    /// How many would have been welcome.
    pub limit: usize,
}

impl PrefixProof {
    /// The keys under the prefix with their values, in ascending order.
    pub fn entries(&self) -> &[(TagKey, MapValue)] {
        &self.entries
    }

    /// As a proof carries it, without the entries.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl TagMap {
    /// How many keys begin with `prefix`.
    pub fn count_under(&self, prefix: &Hash) -> u64 {
        self.subtree(prefix, &mut |_, _| ()).map_or(0, leaves)
    }

    /// Proves which keys begin with `prefix`, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// [`TooManyTags`].
    pub fn prove_prefix(&self, prefix: &Hash, limit: usize) -> Result<PrefixProof, TooManyTags> {
        let mut siblings: Vec<(u16, Hash)> = Vec::with_capacity(40);
        let Some(subtree) = self.subtree(prefix, &mut |bit, sibling| siblings.push((bit, sibling.hash())))
        else {
            let proof = self.prove(&first_key(prefix));
            return Ok(PrefixProof { entries: Vec::new(), bytes: proof.bytes().to_vec() });
        };
        let mut entries = Vec::new();
        let mut waiting = vec![subtree];
        while let Some(next) = waiting.pop() {
            match next {
                Child::Inner(inner) => waiting.extend([&inner.right, &inner.left]),
                Child::Leaf(_) if entries.len() == limit => return Err(TooManyTags { limit }),
                Child::Leaf(leaf) => entries.push(**leaf),
            }
        }
        siblings.reverse();
        let mut bytes = Vec::with_capacity(siblings.len() * 34);
        write_path(&mut bytes, &siblings);
        Ok(PrefixProof { entries, bytes })
    }

    /// The subtree of the keys that begin with `prefix`; `pass` is told of each sibling on the way down.
    fn subtree(&self, prefix: &Hash, pass: &mut impl FnMut(u16, &Child)) -> Option<&Child> {
        let key = first_key(prefix);
        let mut at = self.root.as_ref()?;
        while let Child::Inner(inner) = at
            && inner.bit < PREFIX_BITS
        {
            let (next, sibling) = if node::bit(&key, inner.bit) {
                (&inner.right, &inner.left)
            } else {
                (&inner.left, &inner.right)
            };
            pass(inner.bit, sibling);
            at = next;
        }
        let (found, _) = at.nearest(&key);
        begins_with(found.as_bytes(), prefix).then_some(at)
    }
}

/// The root of the map in which `entries`, in ascending order, are all keys under `prefix`, by the proof's `bytes`.
///
/// # Errors
///
/// [`ProofError::Map`] for bytes that are no such proof, or entries that are out of order or under another prefix.
pub fn root_from_prefix_proof(
    prefix: &Hash,
    entries: &[(TagKey, MapValue)],
    bytes: &[u8],
) -> Result<Hash, ProofError> {
    let wrong = |why| Err(ProofError::Map(why));
    let Some((first, _)) = entries.first() else {
        let root = root_from_proof(first_key(prefix).as_bytes(), None, bytes)?;
        if begins_with(alternative(bytes), prefix) {
            return wrong("a key under the absent prefix stands in its place");
        }
        return Ok(root);
    };
    if !entries.iter().all(|(key, _)| begins_with(key.as_bytes(), prefix)) {
        return wrong("a key is under another prefix");
    }
    if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
        return wrong("the keys are not in ascending order");
    }
    let subtree = TagMap::from_sorted(entries.iter().copied()).root();
    climb(subtree, first.as_bytes(), first.as_bytes(), PREFIX_BITS, bytes)
}

fn leaves(subtree: &Child) -> u64 {
    let (mut count, mut waiting) = (0, vec![subtree]);
    while let Some(next) = waiting.pop() {
        match next {
            Child::Inner(inner) => waiting.extend([&inner.left, &inner.right]),
            Child::Leaf(_) => count += 1,
        }
    }
    count
}

/// `prefix || 0…0`
fn first_key(prefix: &Hash) -> TagKey {
    let mut bytes = [0; 64];
    let (first, _) = bytes.split_at_mut(PREFIX_BYTES);
    first.copy_from_slice(prefix.as_bytes());
    TagKey::from_bytes(bytes)
}

fn begins_with(key: &[u8], prefix: &Hash) -> bool {
    key.starts_with(prefix.as_bytes())
}

#[cfg(test)]
mod tests;
