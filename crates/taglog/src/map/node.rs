//! The nodes of the tag map.
//!
//! Leaves keep key and value and no hash (one SHA-256 of 110 bytes when asked); inner nodes keep
//! theirs until something below them changes.

use std::sync::OnceLock;

use tlog::Hash;
use triomphe::Arc;

use super::MapValue;
use crate::TagKey;

/// A subtree.
#[derive(Clone, Debug)]
pub(super) enum Child {
    Inner(Arc<Inner>),
    Leaf(Arc<(TagKey, MapValue)>),
}

/// Where keys part: at `bit` (0 is the most significant of the first byte), `left` has a 0.
#[derive(Clone, Debug)]
pub(super) struct Inner {
    pub(super) bit: u16,
    pub(super) left: Child,
    pub(super) right: Child,
    hash: OnceLock<Hash>,
}

impl Child {
    pub(super) fn leaf(key: TagKey, value: MapValue) -> Self {
        Self::Leaf(Arc::new((key, value)))
    }

    pub(super) fn inner(bit: u16, left: Self, right: Self) -> Self {
        Self::Inner(Arc::new(Inner { bit, left, right, hash: OnceLock::new() }))
    }

    /// The leaf that following `key`'s bits leads to.
    pub(super) fn nearest(&self, key: &TagKey) -> (TagKey, MapValue) {
        let mut at = self;
        loop {
            match at {
                Self::Leaf(leaf) => return **leaf,
                Self::Inner(inner) => at = if bit(key, inner.bit) { &inner.right } else { &inner.left },
            }
        }
    }

    /// Puts a leaf where it parts from its neighbours at `parting`, or in the place of its own key.
    pub(super) fn place(&mut self, parting: Option<u16>, key: TagKey, value: MapValue) {
        if let Self::Inner(inner) = self
            && parting.is_none_or(|parting| inner.bit < parting)
        {
            let inner = Arc::make_mut(inner);
            inner.hash.take();
            let next = if bit(&key, inner.bit) { &mut inner.right } else { &mut inner.left };
            return next.place(parting, key, value);
        }
        let leaf = Self::leaf(key, value);
        *self = match parting {
            None => leaf,
            Some(parting) if bit(&key, parting) => Self::inner(parting, self.clone(), leaf),
            Some(parting) => Self::inner(parting, leaf, self.clone()),
        };
    }

    pub(super) fn hash(&self) -> Hash {
        match self {
            Self::Leaf(leaf) => leaf_hash(leaf.0.as_bytes(), &leaf.1.to_bytes()),
            Self::Inner(inner) => {
                *inner.hash.get_or_init(|| inner_hash(inner.bit, &inner.left.hash(), &inner.right.hash()))
            }
        }
    }
}

impl MapValue {
    /// As the map hashes it: `u64be(leaf index) || leaf hash`.
    pub fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let (index, hash) = bytes.split_at_mut(8);
        index.copy_from_slice(&self.index.to_be_bytes());
        hash.copy_from_slice(self.leaf_hash.as_bytes());
        bytes
    }
}

/// `SHA-256(0x00 || uvarint(len key) || key || uvarint(len value) || value)`
pub(super) fn leaf_hash(key: &[u8], value: &[u8]) -> Hash {
    let mut bytes = Vec::with_capacity(key.len() + value.len() + 5);
    bytes.push(0);
    write_uvarint(&mut bytes, key.len());
    bytes.extend_from_slice(key);
    write_uvarint(&mut bytes, value.len());
    bytes.extend_from_slice(value);
    Hash::of(bytes)
}

/// `SHA-256(0x01 || uvarint(bit) || left || right)`
pub(super) fn inner_hash(bit: u16, left: &Hash, right: &Hash) -> Hash {
    let mut bytes = Vec::with_capacity(67);
    bytes.push(1);
    write_uvarint(&mut bytes, usize::from(bit));
    bytes.extend_from_slice(left.as_bytes());
    bytes.extend_from_slice(right.as_bytes());
    Hash::of(bytes)
}

/// LEB128.
pub(super) fn write_uvarint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        // The low seven bits.
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

pub(super) fn bit(key: &TagKey, bit: u16) -> bool {
    bit_of(key.as_bytes(), bit)
}

pub(super) fn bit_of(key: &[u8], bit: u16) -> bool {
    key.get(usize::from(bit >> 3)).is_some_and(|byte| byte >> (7 - (bit & 7)) & 1 == 1)
}

/// `None` for equal keys.
pub(super) fn first_difference(a: &TagKey, b: &TagKey) -> Option<u16> {
    let pairs = a.as_bytes().iter().zip(b.as_bytes());
    pairs.zip(0_u16..).find(|((a, b), _)| a != b).map(|((a, b), byte)| {
        let within = u16::try_from((a ^ b).leading_zeros()).unwrap_or_default();
        byte * 8 + within
    })
}
