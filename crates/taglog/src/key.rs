//! Where a tag stands in the map.

use std::fmt;

use oci::{Name, Tag};
use tlog::Hash;

/// `SHA-256(name) || SHA-256(tag)`: all tags of a repository share their first 32 bytes.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TagKey([u8; 64]);

impl TagKey {
    /// Of a canonical name and tag.
    pub fn of(name: &Name, tag: &Tag) -> Self {
        let mut bytes = [0; 64];
        let (first, second) = bytes.split_at_mut(32);
        first.copy_from_slice(Self::repository(name).as_bytes());
        second.copy_from_slice(Hash::of(tag.as_str()).as_bytes());
        Self(bytes)
    }

    /// What the keys of all tags of a repository begin with: `SHA-256(name)`.
    pub fn repository(name: &Name) -> Hash {
        Hash::of(name.as_str())
    }

    /// From stored bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
