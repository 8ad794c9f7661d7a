//! Inclusion and consistency: making and checking (RFC 9162 §2.1.3 and §2.1.4, RFC 6962 trees).

use crate::frontier::root_of_subtrees;
use crate::{Error, Hash, node_hash};

/// A perfect subtree: 2^`level` leaves, the `index`-th of that size.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Node {
    /// 0 is a leaf.
    pub level: u8,
    /// From the left, from 0.
    pub index: u64,
}

/// The root that a proof leads to from a leaf's hash.
///
/// # Errors
///
/// [`Error::OutsideTree`], [`Error::ProofLength`].
pub fn root_from_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Result<Hash, Error> {
    if index >= size {
        return Err(Error::OutsideTree { index, size });
    }
    let mut place = index;
    let mut last = size - 1;
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(Error::ProofLength { found: proof.len(), too_many: true });
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(Error::ProofLength { found: proof.len(), too_many: false });
    }
    Ok(hash)
}

/// Checks that `leaf` is at `index` in the tree of `size` and `root`.
///
/// # Errors
///
/// As [`root_from_inclusion`], and [`Error::RootMismatch`].
pub fn verify_inclusion(index: u64, size: u64, leaf: Hash, root: Hash, proof: &[Hash]) -> Result<(), Error> {
    same(root_from_inclusion(index, size, leaf, proof)?, root)
}

/// Checks that the tree of `new_size` begins with that of `old_size`.
///
/// A proof from the empty tree, and one between equal sizes, has no hashes.
///
/// # Errors
///
/// [`Error::OutsideTree`] when `old_size > new_size`, [`Error::ProofLength`], [`Error::RootMismatch`].
pub fn verify_consistency(
    old_size: u64,
    old_root: Hash,
    new_size: u64,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if old_size > new_size {
        return Err(Error::OutsideTree { index: old_size, size: new_size });
    }
    let length = |too_many| Error::ProofLength { found: proof.len(), too_many };
    if old_size == new_size || old_size == 0 {
        if !proof.is_empty() {
            return Err(length(true));
        }
        if old_size == 0 {
            return same(old_root, Hash::EMPTY);
        }
        return same(old_root, new_root);
    }
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or_else(|| length(false))?;
        (*first, rest)
    };
    let mut place = old_size - 1;
    let mut last = new_size - 1;
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(length(true));
        }
        if place & 1 == 1 || place == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length(false));
    }
    same(old, old_root)?;
    same(new, new_root)
}

/// Makes the inclusion proof of the leaf at `index` in the tree of `size`, leaf's sibling first.
///
/// `read` gives the hash of a perfect subtree that lies within `size`.
///
/// # Errors
///
/// Those of `read`, and [`Error::OutsideTree`].
pub fn prove_inclusion<E: From<Error>>(
    index: u64,
    size: u64,
    read: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(Error::OutsideTree { index, size }.into());
    }
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(root_of_range(middle, end, read)?);
            end = middle;
        } else {
            proof.push(root_of_range(start, middle, read)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Makes the proof that the tree of `new_size` begins with that of `old_size`.
///
/// # Errors
///
/// Those of `read`, and [`Error::OutsideTree`] when `old_size > new_size`.
pub fn prove_consistency<E: From<Error>>(
    old_size: u64,
    new_size: u64,
    read: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old_size > new_size {
        return Err(Error::OutsideTree { index: old_size, size: new_size }.into());
    }
    if old_size == 0 || old_size == new_size {
        return Ok(Vec::new());
    }
    // RFC 6962 §2.1.2 SUBPROOF: down the right edge of the old tree.
    let (mut start, mut end) = (0, new_size);
    let mut proof = Vec::new();
    let mut whole = true;
    while old_size != end {
        let middle = start + split(end - start);
        if old_size <= middle {
            proof.push(root_of_range(middle, end, read)?);
            end = middle;
        } else {
            proof.push(root_of_range(start, middle, read)?);
            start = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(root_of_range(start, end, read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Root of leaves `start..end`, where `start` is a multiple of the subtree sizes that make it up.
fn root_of_range<E>(start: u64, end: u64, read: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    let mut parts = Vec::new();
    let mut place = start;
    while place < end {
        let level = 63 - (end - place).leading_zeros();
        // At most 63.
        let node = Node { level: u8::try_from(level).unwrap_or(63), index: place >> level };
        parts.push(read(node)?);
        place += 1 << level;
    }
    Ok(root_of_subtrees(&parts))
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

fn same(computed: Hash, expected: Hash) -> Result<(), Error> {
    if computed == expected { Ok(()) } else { Err(Error::RootMismatch { computed, expected }) }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::leaf_hash;

    pub(crate) fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|index| leaf_hash(format!("entry {index}").as_bytes())).collect()
    }

    /// RFC 6962 §2.1, word for word.
    pub(crate) fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::EMPTY,
            [leaf] => *leaf,
            leaves => {
                let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    fn reader(leaves: &[Hash]) -> impl FnMut(Node) -> Result<Hash, Error> {
        |node| {
            let width = 1 << node.level;
            let start = node.index as usize * width;
            Ok(root_by_definition(&leaves[start..start + width]))
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved() {
        let leaves = leaves(70);
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            let root = root_by_definition(tree);
            for index in 0..size {
                let proof = prove_inclusion(index as u64, size as u64, &mut reader(tree)).unwrap();
                verify_inclusion(index as u64, size as u64, tree[index], root, &proof).unwrap();
                assert!(
                    verify_inclusion(index as u64, size as u64, leaf_hash(b"other"), root, &proof).is_err()
                );
                let mut longer = proof.clone();
                longer.push(root);
                assert!(verify_inclusion(index as u64, size as u64, tree[index], root, &longer).is_err());
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(verify_inclusion(index as u64, size as u64, tree[index], root, shorter).is_err());
                }
            }
        }
    }

    #[test]
    fn every_pair_of_small_trees_is_consistent() {
        let leaves = leaves(70);
        for new in 0..=leaves.len() {
            let new_root = root_by_definition(&leaves[..new]);
            for old in 0..=new {
                let old_root = root_by_definition(&leaves[..old]);
                let proof = prove_consistency(old as u64, new as u64, &mut reader(&leaves[..new])).unwrap();
                verify_consistency(old as u64, old_root, new as u64, new_root, &proof).unwrap();
                let forked = leaf_hash(b"forked");
                assert!(verify_consistency(old as u64, forked, new as u64, new_root, &proof).is_err());
                if old != 0 {
                    assert!(verify_consistency(old as u64, old_root, new as u64, forked, &proof).is_err());
                }
            }
        }
    }

    #[test]
    fn sizes_that_make_no_sense_are_errors() {
        let hash = leaf_hash(b"");
        assert!(matches!(root_from_inclusion(1, 1, hash, &[]), Err(Error::OutsideTree { .. })));
        assert!(matches!(root_from_inclusion(0, 0, hash, &[]), Err(Error::OutsideTree { .. })));
        assert!(matches!(verify_consistency(2, hash, 1, hash, &[]), Err(Error::OutsideTree { .. })));
        assert!(verify_consistency(0, Hash::EMPTY, 0, Hash::EMPTY, &[]).is_ok());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_breaks_an_inclusion_proof(size in 2_u64..300, at: prop::sample::Index, bit in 0_usize..256) {
            let leaves = leaves(size as usize);
            let index = at.index(leaves.len());
            let root = root_by_definition(&leaves);
            let mut proof = prove_inclusion(index as u64, size, &mut reader(&leaves)).unwrap();
            let which = at.index(proof.len());
            let mut bytes = *proof[which].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            proof[which] = Hash::from_bytes(bytes);
            prop_assert!(verify_inclusion(index as u64, size, leaves[index], root, &proof).is_err());
        }

        #[test]
        fn any_flipped_bit_breaks_a_consistency_proof(old in 1_u64..200, more in 1_u64..100, at: prop::sample::Index, bit in 0_usize..256) {
            let new = old + more;
            let leaves = leaves(new as usize);
            let (old_root, new_root) = (root_by_definition(&leaves[..old as usize]), root_by_definition(&leaves));
            let mut proof = prove_consistency(old, new, &mut reader(&leaves)).unwrap();
            let which = at.index(proof.len());
            let mut bytes = *proof[which].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            proof[which] = Hash::from_bytes(bytes);
            prop_assert!(verify_consistency(old, old_root, new, new_root, &proof).is_err());
        }

        #[test]
        fn no_proof_makes_the_checker_panic(index: u64, size: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
            let proof: Vec<_> = hashes.into_iter().map(Hash::from_bytes).collect();
            let root = leaf_hash(b"");
            prop_assert!(verify_inclusion(index, size, root, leaf_hash(b"x"), &proof).is_err());
            let _any_answer = verify_consistency(index, root, size, root, &proof);
        }
    }
}
