//! The right edge of a growing tree: one hash for each perfect subtree, which is all that appending
//! needs.

use crate::{Error, Hash, node_hash};

/// The perfect subtrees that make up a tree of `size` leaves, largest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// Of a tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// From stored parts: `hashes` are the subtrees of `size`, largest first.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there is one hash for each set bit of `size`.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, Error> {
        let expected = usize::try_from(size.count_ones()).unwrap_or(usize::MAX);
        if hashes.len() != expected {
            return Err(Error::Length { what: "a frontier", found: hashes.len(), expected });
        }
        Ok(Self { size, hashes })
    }

    /// Appends one leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _full in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        root_of_subtrees(&self.hashes)
    }

    /// The subtrees, largest first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// The inclusion proof of the leaf that comes next, in the tree of one leaf more: every subtree of
/// the frontier is a sibling on its way to the root.
pub fn inclusion_proof_of_next(before: &Frontier) -> Vec<Hash> {
    before.hashes.iter().rev().copied().collect()
}

/// Root of a tree by its perfect subtrees, largest first.
pub(crate) fn root_of_subtrees(largest_first: &[Hash]) -> Hash {
    let mut smallest_first = largest_first.iter().rev();
    let Some(last) = smallest_first.next() else { return Hash::EMPTY };
    smallest_first.fold(*last, |right, left| node_hash(left, &right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proof::tests::{leaves, root_by_definition};
    use crate::verify_inclusion;

    #[test]
    fn the_root_is_that_of_the_definition_at_every_size() {
        let leaves = leaves(130);
        let mut frontier = Frontier::new();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), root_by_definition(&leaves[..size]), "size {size}");
            assert_eq!(frontier.size(), size as u64);
            frontier.push(leaves[size]);
        }
    }

    #[test]
    fn the_next_leaf_is_proved_by_the_frontier_before_it() {
        let leaves = leaves(130);
        let mut frontier = Frontier::new();
        for (index, leaf) in leaves.iter().enumerate() {
            let proof = inclusion_proof_of_next(&frontier);
            frontier.push(*leaf);
            verify_inclusion(index as u64, frontier.size(), *leaf, frontier.root(), &proof).unwrap();
        }
    }

    proptest! {
        #[test]
        fn stored_parts_give_the_same_tree(size in 0_usize..300) {
            let mut frontier = Frontier::new();
            leaves(size).into_iter().for_each(|leaf| frontier.push(leaf));
            let again = Frontier::from_parts(frontier.size(), frontier.hashes().to_vec()).unwrap();
            prop_assert_eq!(&again, &frontier);
            prop_assert!(Frontier::from_parts(frontier.size() + 1, frontier.hashes().to_vec()).is_err() || (size + 1).count_ones() == size.count_ones());
        }
    }
}
