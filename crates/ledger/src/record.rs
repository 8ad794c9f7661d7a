//! What the log says of a key: a leaf together with its index and hash.
//! It must not know where leaves come from; whoever makes one has compared the hash with what the log committed to.

use bytes::Bytes;
use oci::{ManifestType, Name, Sha256Digest, Tag};
use taglog::{Leaf, TagKey};
use tlog::Hash;

/// A leaf of the log that was read back and found to be what the log committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its index in the log.
    pub index: u64,
    /// Its RFC 6962 leaf hash.
    pub leaf_hash: Hash,
    /// Its exact bytes.
    pub bytes: Bytes,
    /// What it says.
    pub leaf: Leaf,
}

/// The current record of a key: a `tag`, `supersede`, `thaw` or `seen` leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    entry: Entry,
    key: TagKey,
    digest: Sha256Digest,
    time: u64,
    frozen: bool,
}

impl Recorded {
    /// The record that `entry` makes; `None` for a kind of leaf that the map cannot point to.
    pub(crate) fn of(entry: Entry) -> Option<Self> {
        let (name, tag, digest, time, frozen) = match &entry.leaf {
            Leaf::Tag(record) => (&record.name, &record.tag, record.digest, record.time, true),
            Leaf::Seen(record) => (&record.name, &record.tag, record.digest, record.time, false),
            Leaf::Supersede { name, tag, new, time, .. } => (name, tag, *new, *time, true),
            Leaf::Thaw { name, tag, digest, time, .. } => (name, tag, *digest, *time, false),
            _ => return None,
        };
        let key = TagKey::of(name, tag);
        Some(Self { entry, key, digest, time, frozen })
    }

    /// The leaf itself.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Index of the leaf in the log.
    pub fn index(&self) -> u64 {
        self.entry.index
    }

    /// RFC 6962 hash of the leaf.
    pub fn leaf_hash(&self) -> Hash {
        self.entry.leaf_hash
    }

    /// Key of the map.
    pub fn key(&self) -> &TagKey {
        &self.key
    }

    /// Registry host and repository.
    pub fn name(&self) -> Option<&Name> {
        self.parts().map(|(name, _)| name)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&Tag> {
        self.parts().map(|(_, tag)| tag)
    }

    /// What the tag means now: the digest of the manifest's bytes.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Unix seconds of the leaf.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Whether the tag is frozen; otherwise it is observed.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Media type and size of the manifest, where the leaf says them (`tag` and `seen`).
    pub fn manifest(&self) -> Option<(ManifestType, u64)> {
        match &self.entry.leaf {
            Leaf::Tag(record) | Leaf::Seen(record) => Some((record.media_type, record.size)),
            _ => None,
        }
    }

    fn parts(&self) -> Option<(&Name, &Tag)> {
        match &self.entry.leaf {
            Leaf::Tag(record) | Leaf::Seen(record) => Some((&record.name, &record.tag)),
            Leaf::Supersede { name, tag, .. } | Leaf::Thaw { name, tag, .. } => Some((name, tag)),
            _ => None,
        }
    }
}
