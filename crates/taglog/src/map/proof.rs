//! Map proofs: the bytes that a tag proof carries, and the root that they lead to.
//!
//! Presence: the path alone. Absence: the leaf that stands where the key would, and its path.

use tlog::Hash;

use super::MapValue;
use super::node::{bit_of, inner_hash, leaf_hash, write_uvarint};
use crate::{ProofError, TagKey};

/// What a map says of one key, in a form that can be checked against its root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapProof {
    value: Option<MapValue>,
    bytes: Vec<u8>,
}

const KEY_BYTES: usize = 64;
const VALUE_BYTES: usize = 40;
/// One past the last bit of a key.
const KEY_BITS: u16 = 512;

impl MapProof {
    /// Absence in an empty map.
    pub(super) fn empty() -> Self {
        Self { value: None, bytes: Vec::new() }
    }

    /// `siblings` from the leaf to the root.
    pub(super) fn new(key: &TagKey, found: &TagKey, value: MapValue, siblings: &[(u16, Hash)]) -> Self {
        let mut bytes = Vec::with_capacity(108 + siblings.len() * 34);
        let present = found == key;
        if !present {
            write_uvarint(&mut bytes, KEY_BYTES);
            bytes.extend_from_slice(found.as_bytes());
            write_uvarint(&mut bytes, VALUE_BYTES);
            bytes.extend_from_slice(&value.to_bytes());
        }
        write_path(&mut bytes, siblings);
        Self { value: present.then_some(value), bytes }
    }

    /// The key's value; `None` where the proof is of absence.
    pub fn value(&self) -> Option<MapValue> {
        self.value
    }

    /// As a proof carries it, without the value.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// `siblings` from the subtree to the root, as a path.
pub(super) fn write_path(bytes: &mut Vec<u8>, siblings: &[(u16, Hash)]) {
    for (bit, hash) in siblings {
        write_uvarint(bytes, usize::from(*bit));
        bytes.extend_from_slice(hash.as_bytes());
    }
}

/// The root of the map in which `key` has `value` (`None`: is absent), by the proof's `bytes`.
///
/// Keys have 64 bytes in our map; the format itself does not care.
///
/// # Errors
///
/// [`ProofError::Map`] for bytes that are no such proof.
pub fn root_from_proof(key: &[u8], value: Option<&[u8]>, bytes: &[u8]) -> Result<Hash, ProofError> {
    let wrong = ProofError::Map;
    let (at, value, path) = match value {
        Some(value) => (key, value, bytes),
        None if bytes.is_empty() => return Ok(Hash::EMPTY),
        None => {
            let (at, rest) = field(bytes, key.len())?;
            let (value, path) = field(rest, value_length(key))?;
            if at == key {
                return Err(wrong("an absent key stands in its own place"));
            }
            (at, value, path)
        }
    };
    climb(leaf_hash(at, value), at, key, KEY_BITS, path)
}

/// The key of the leaf that a proof of absence names instead; empty for a proof from an empty map.
pub(super) fn alternative(bytes: &[u8]) -> &[u8] {
    field(bytes, KEY_BYTES).map_or(&[], |(key, _)| key)
}

/// The root above the subtree `hash` of `at`: `path` is its way up, every bit below `limit`, and `key` would stand in
/// the same subtree.
pub(super) fn climb(
    mut hash: Hash,
    at: &[u8],
    key: &[u8],
    limit: u16,
    mut path: &[u8],
) -> Result<Hash, ProofError> {
    let wrong = ProofError::Map;
    let mut last = limit;
    while !path.is_empty() {
        let (bit, rest) = uvarint(path)?;
        let bit = u16::try_from(bit).ok().filter(|bit| *bit < last).ok_or(wrong("bits do not decrease"))?;
        let (sibling, rest) = rest.split_first_chunk::<32>().ok_or(wrong("it ends within a hash"))?;
        let sibling = Hash::from_bytes(*sibling);
        if bit_of(key, bit) != bit_of(at, bit) {
            return Err(wrong("the key belongs elsewhere"));
        }
        hash =
            if bit_of(at, bit) { inner_hash(bit, &sibling, &hash) } else { inner_hash(bit, &hash, &sibling) };
        (last, path) = (bit, rest);
    }
    Ok(hash)
}

/// The published vectors of the format have values as long as their keys.
fn value_length(key: &[u8]) -> usize {
    if key.len() == KEY_BYTES { VALUE_BYTES } else { key.len() }
}

fn field(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), ProofError> {
    let (found, rest) = uvarint(bytes)?;
    if usize::try_from(found) != Ok(length) {
        return Err(ProofError::Map("the other leaf has another length"));
    }
    rest.split_at_checked(length).ok_or(ProofError::Map("it ends within the other leaf"))
}

/// LEB128 in its one spelling.
fn uvarint(bytes: &[u8]) -> Result<(u64, &[u8]), ProofError> {
    let mut number = 0_u64;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21] {
        let (byte, after) = rest.split_first().ok_or(ProofError::Map("it ends within a number"))?;
        number |= u64::from(byte & 0x7f) << shift;
        rest = after;
        if byte & 0x80 == 0 {
            if *byte == 0 && shift > 0 {
                break;
            }
            return Ok((number, rest));
        }
    }
    Err(ProofError::Map("a number is not in its one spelling"))
}
