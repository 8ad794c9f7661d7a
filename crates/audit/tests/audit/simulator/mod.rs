//! A log that does whatever it is told, honest or not, and the places where it can be read.
//!
//! Builds leaves, trees and proofs from the pure crates alone. Knows nothing of who reads it.

mod leaves;
mod place;
mod receiver;
mod tree;

use oci::TagName;
use taglog::{
    Leaf, MapValue, PrefixParts, ProofParts, SupersedeRule, TagKey, TagMap, assemble, assemble_prefix,
};
use tlog::{Checkpoint, Hash, KeyAlgorithm, SigningKey, VerifierKey, cosign, leaf_hash};

pub(crate) use self::leaves::{close, digest, moved, name, seen, supersede, tag, tag_of, thaw};
pub(crate) use self::place::{Directory, Web, impatient};
pub(crate) use self::receiver::Receiver;
use self::tree::Forest;

/// Unix seconds of the first leaf with a time.
pub(crate) const EPOCH: u64 = 1_700_000_000;
/// The reader's clock.
pub(crate) const NOW: u64 = EPOCH + 100_000;
pub(crate) const ORIGIN: &str = "tlog.example/log";

/// A log; a clone goes its own way from there.
#[derive(Clone)]
pub(crate) struct Log {
    key: SigningKey,
    pub(crate) leaves: Vec<Vec<u8>>,
    pub(crate) map: TagMap,
    /// Cosigners of every checkpoint, with the time of their cosignatures.
    pub(crate) cosigners: Vec<(SigningKey, u64)>,
}

impl Log {
    /// Size 2: the rules and the index of nothing.
    pub(crate) fn new(supersede: SupersedeRule) -> Self {
        Self::begin(ORIGIN, 1, &Leaf::Log { supersede, previous: None })
    }

    /// The same log by another key of its own.
    pub(crate) fn signed_by(&self, seed: u8) -> Self {
        let key = SigningKey::from_seed(self.key.name(), KeyAlgorithm::Ed25519, &[seed; 32]).unwrap();
        Self { key, ..self.clone() }
    }

    pub(crate) fn begin(origin: &str, seed: u8, rules: &Leaf) -> Self {
        let key = SigningKey::from_seed(origin, KeyAlgorithm::Ed25519, &[seed; 32]).unwrap();
        let mut log = Self { key, leaves: Vec::new(), map: TagMap::new(), cosigners: Vec::new() };
        log.push(rules.to_string());
        log.index();
        log
    }

    /// Tags `v0`, `v1` … of a few repositories, in batches of three.
    pub(crate) fn sample(tags: usize, supersede: SupersedeRule) -> Self {
        let mut log = Self::new(supersede);
        log.grow(0..tags);
        log
    }

    pub(crate) fn grow(&mut self, tags: std::ops::Range<usize>) {
        let tags: Vec<usize> = tags.collect();
        for batch in tags.chunks(3) {
            self.batch(batch.iter().map(|number| {
                let (name, tag_name) = (name(*number), format!("v{number}"));
                tag(name, &tag_name, &digest(&tag_name), EPOCH + *number as u64)
            }));
        }
    }

    /// Appends a leaf as it is, and points the map to it where it is a leaf for the map.
    pub(crate) fn push(&mut self, leaf: impl Into<Vec<u8>>) -> &mut Self {
        let bytes = leaf.into();
        if let Ok(leaf) = Leaf::parse(&bytes)
            && let Some((name, tag, _)) = leaf.current()
        {
            let value = MapValue { index: self.size(), leaf_hash: leaf_hash(&bytes) };
            self.map.insert(TagKey::of(name, tag), value);
        }
        self.leaves.push(bytes);
        self
    }

    /// Appends the index of the map as it is.
    pub(crate) fn index(&mut self) -> &mut Self {
        let leaf = Leaf::Index { index: self.size(), count: self.map.len(), root: self.map.root() };
        self.push(leaf.to_string())
    }

    pub(crate) fn batch(&mut self, leaves: impl IntoIterator<Item = String>) -> &mut Self {
        for leaf in leaves {
            self.push(leaf);
        }
        self.index()
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(crate) fn key(&self) -> VerifierKey {
        self.key.verifier()
    }

    pub(crate) fn hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
    }

    /// The signed checkpoint, with all cosignatures and a line that nobody knows.
    pub(crate) fn note(&self) -> String {
        self.note_of(self.size())
    }

    pub(crate) fn note_of(&self, size: u64) -> String {
        let root = Forest::of(&self.hashes()[..size as usize]).root();
        self.sign(Checkpoint { origin: self.key.name().to_owned(), size, root })
    }

    /// Signs anything.
    pub(crate) fn sign(&self, checkpoint: Checkpoint) -> String {
        let mut note = checkpoint.sign(&self.key).unwrap().into_note();
        note.push("— grease.example AAAAAAAAAAAAAAAA".parse().unwrap());
        for (cosigner, time) in &self.cosigners {
            note.push(cosign(&note, cosigner, *time).unwrap());
        }
        note.to_string()
    }

    /// The tag proof that an honest server would give.
    pub(crate) fn proof(&self, subject: &TagName) -> String {
        let map = self.map.prove(&TagKey::of(&subject.name, &subject.tag));
        let leaf = map.value().map(|value| &*self.leaves[value.index as usize]);
        let forest = Forest::of(&self.hashes());
        assemble(&ProofParts {
            checkpoint: &self.note(),
            size: self.size(),
            inclusion: &forest.inclusion(self.size() - 1),
            count: self.map.len(),
            map: &map,
            leaf,
        })
    }

    /// The proof of all tags of a repository that an honest server would give.
    pub(crate) fn repository_proof(&self, name: &str) -> String {
        let name = oci::Name::parse_canonical(name).unwrap();
        let map = self.map.prove_prefix(&TagKey::repository(&name), 1_000).unwrap();
        let leaf = |value: &MapValue| self.leaves[value.index as usize].clone();
        let leaves: Vec<Vec<u8>> = map.entries().iter().map(|(_, value)| leaf(value)).collect();
        let forest = Forest::of(&self.hashes());
        assemble_prefix(&PrefixParts {
            checkpoint: &self.note(),
            size: self.size(),
            inclusion: &forest.inclusion(self.size() - 1),
            count: self.map.len(),
            map: &map,
            leaves: &leaves,
        })
    }

    /// All files of the log by path.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Forest::of(&self.hashes()).tiles();
        files.extend(tree::bundles(&self.leaves));
        files.push(("checkpoint".to_owned(), self.note().into_bytes()));
        files
    }
}

/// A cosigner by name.
pub(crate) fn cosigner(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, &[seed; 32]).unwrap()
}

/// Another log that is trusted as well.
pub(crate) fn other_log(tags: usize) -> Log {
    let mut log =
        Log::begin("other.example/log", 7, &Leaf::Log { supersede: SupersedeRule::Operator, previous: None });
    log.grow(0..tags);
    log
}
