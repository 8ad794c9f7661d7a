//! The root of a map after one key was set, by the proof of what the map said of that key before.
//!
//! With it an index leaf can be held against the index leaf before it, without the map.

use taglog::{MapValue, ProofError, TagKey, root_from_proof};
use tlog::Hash;

use super::CurrentLeaf;

/// Bytes of a map proof before the path, where the key is absent: another key and its value, each
/// behind its length.
const OTHER_KEY: std::ops::Range<usize> = 1..65;
const OTHER_VALUE: std::ops::Range<usize> = 66..106;

/// The map's root, by a proof of what it says of a key.
pub(super) fn root_before(
    key: &TagKey,
    current: Option<CurrentLeaf>,
    proof: &[u8],
) -> Result<Hash, ProofError> {
    root_from_proof(key.as_bytes(), current.map(value).as_ref().map(<[u8; 40]>::as_slice), proof)
}

/// The map's root once the key has the value `new`.
pub(super) fn root_after(
    key: &TagKey,
    current: Option<CurrentLeaf>,
    proof: &[u8],
    new: CurrentLeaf,
) -> Result<Hash, ProofError> {
    let new = value(new);
    if current.is_some() || proof.is_empty() {
        return root_from_proof(key.as_bytes(), Some(&new), proof);
    }
    let short = ProofError::Map("it ends within the other leaf");
    let (Some(other), Some(other_value), Some(path)) =
        (proof.get(OTHER_KEY), proof.get(OTHER_VALUE), proof.get(OTHER_VALUE.end..))
    else {
        return Err(short);
    };
    let parting = first_difference(key.as_bytes(), other).ok_or(short.clone())?;
    // Steps below the place where the new key parts from the other one lead to its sibling.
    let mut below = 0;
    while let Some((bit, step)) = path.get(below..).and_then(first_step) {
        if bit < parting {
            break;
        }
        below += step;
    }
    let (below, above) = path.split_at_checked(below).ok_or(short)?;
    let sibling = root_from_proof(other, Some(other_value), below)?;
    let mut path = uvarint(parting);
    path.extend_from_slice(sibling.as_bytes());
    path.extend_from_slice(above);
    root_from_proof(key.as_bytes(), Some(&new), &path)
}

fn value(leaf: CurrentLeaf) -> [u8; 40] {
    MapValue { index: leaf.index, leaf_hash: leaf.hash }.to_bytes()
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<u16> {
    let at = (0_u16..).zip(a.iter().zip(b)).find(|(_, (a, b))| a != b);
    at.map(|(byte, (a, b))| byte * 8 + u16::try_from((a ^ b).leading_zeros()).unwrap_or_default())
}

/// The bit of a path's first step, and how many bytes the step has; bits are below 512.
fn first_step(path: &[u8]) -> Option<(u16, usize)> {
    let (first, rest) = path.split_first()?;
    if *first < 0x80 {
        return Some((u16::from(*first), 33));
    }
    let second = rest.first()?;
    Some((u16::from(*first & 0x7f) | u16::from(*second) << 7, 34))
}

fn uvarint(bit: u16) -> Vec<u8> {
    match u8::try_from(bit) {
        Ok(small) if small < 0x80 => vec![small],
        _ => vec![
            u8::try_from(bit & 0x7f).unwrap_or_default() | 0x80,
            u8::try_from(bit >> 7).unwrap_or_default(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use taglog::TagMap;
    use tlog::leaf_hash;

    use super::*;

    fn current(value: MapValue) -> CurrentLeaf {
        CurrentLeaf { index: value.index, hash: value.leaf_hash }
    }

    proptest! {
        #[test]
        fn a_proof_before_gives_the_root_after(
            keys in prop::collection::vec((any::<[u8; 2]>(), 0_usize..64), 1..60),
        ) {
            let mut map = TagMap::new();
            for (index, (bytes, at)) in (0_u64..).zip(keys) {
                // Keys that part early, late, and in the middle.
                let mut key = [0; 64];
                key[at] = bytes[0];
                key[63 - at] ^= bytes[1];
                let key = TagKey::from_bytes(key);
                let value = MapValue { index, leaf_hash: leaf_hash(&index.to_be_bytes()) };
                let proof = map.prove(&key);
                let before = proof.value().map(current);
                prop_assert_eq!(root_before(&key, before, proof.bytes()).unwrap(), map.root());
                map.insert(key, value);
                prop_assert_eq!(root_after(&key, before, proof.bytes(), current(value)).unwrap(), map.root());
            }
        }

        #[test]
        fn no_proof_makes_it_panic(key: [u8; 32], present: bool, proof in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut whole = [0; 64];
            whole[..32].copy_from_slice(&key);
            let leaf = CurrentLeaf { index: 3, hash: Hash::EMPTY };
            let _any_answer = root_after(&TagKey::from_bytes(whole), present.then_some(leaf), &proof, leaf);
        }
    }
}
