//! SHA-256 as RFC 6962 §2.1 uses it: leaves and nodes are hashed under different prefixes.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Error, base64};

/// A SHA-256 hash; prints as base64.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The root of a tree without leaves: SHA-256 of nothing.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// Takes 32 bytes for a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of `data`.
    pub fn of(data: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(data).into())
    }

    /// SHA-256 of the parts, one after the other.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Strict base64 of 32 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Base64`], [`Error::Length`].
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        Self::try_from(base64::decode_strict(text)?.as_slice())
    }

    /// Lower-case hexadecimal.
    pub fn to_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'?'));
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            text.extend([digit(byte >> 4), digit(byte & 15)]);
            text
        })
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        let array = bytes.try_into().map_err(|_length| Error::Length {
            what: "a hash",
            found: bytes.len(),
            expected: 32,
        })?;
        Ok(Self(array))
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hash of a leaf's bytes: SHA-256(0x00 || leaf).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash::of_parts(&[&[0], leaf])
}

/// Hash of a node: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = [0; 65];
    let (prefix, rest) = node.split_at_mut(1);
    let (first, second) = rest.split_at_mut(32);
    prefix.fill(1);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    Hash::of(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_tree_has_the_hash_of_nothing() {
        assert_eq!(Hash::of(b""), Hash::EMPTY);
        assert!(Hash::EMPTY.to_hex().starts_with("e3b0c442"));
    }

    #[test]
    fn leaves_and_nodes_of_the_same_bytes_differ() {
        let (a, b) = (Hash::of(b"a"), Hash::of(b"b"));
        let both: Vec<u8> = a.as_bytes().iter().chain(b.as_bytes()).copied().collect();
        assert_ne!(leaf_hash(&both), node_hash(&a, &b));
        assert_eq!(node_hash(&a, &b), Hash::of_parts(&[&[1], a.as_bytes(), b.as_bytes()]));
    }

    #[test]
    fn base64_of_another_length_is_no_hash() {
        assert_eq!(Hash::from_base64(&Hash::EMPTY.to_string()).unwrap(), Hash::EMPTY);
        assert!(matches!(Hash::from_base64("AAAA"), Err(Error::Length { found: 3, .. })));
    }
}
