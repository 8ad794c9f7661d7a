//! The whole log as an outsider sees it: checkpoint, tiles and entry bundles, re-read and replayed. It must use nothing
//! but what is published, and remembers every checkpoint it has seen, so that a fork is found however it comes about.

use std::collections::BTreeMap;

use ledger::{Error, Ledger};
use oci::{Name, TagName};
use taglog::{Leaf, Replay, TagKey};
use tlog::{
    EntriesId, Frontier, Hash, SignedCheckpoint, TILE_WIDTH, decode_entries, leaf_hash, node_hash,
    tiles_of_size,
};

/// An outsider with a memory.
#[derive(Default)]
pub(crate) struct Auditor {
    seen: BTreeMap<u64, Hash>,
}

/// What the outsider read.
pub(crate) struct Audited {
    pub(crate) size: u64,
    pub(crate) leaves: Vec<Leaf>,
}

impl Audited {
    /// Leaves of a tag that a key can have, oldest first.
    pub(crate) fn of(&self, tag: &TagName) -> Vec<&Leaf> {
        let wanted = TagKey::of(&tag.name, &tag.tag);
        self.leaves.iter().filter(|leaf| key_of(leaf) == Some(wanted)).collect()
    }
}

pub(crate) fn key_of(leaf: &Leaf) -> Option<TagKey> {
    match leaf {
        Leaf::Tag(record) | Leaf::Seen(record) => Some(TagKey::of(&record.name, &record.tag)),
        Leaf::Moved { name, tag, .. } | Leaf::Supersede { name, tag, .. } | Leaf::Thaw { name, tag, .. } => {
            Some(TagKey::of(name, tag))
        }
        _ => None,
    }
}

impl Auditor {
    /// Re-reads everything and checks every rule, and that no checkpoint seen before was taken back.
    pub(crate) fn audit(&mut self, ledger: &Ledger) -> Audited {
        let note = ledger.published().unwrap().note.to_string();
        let signed: SignedCheckpoint = note.parse().unwrap();
        let checkpoint = signed.verify(ledger.verifier_key()).unwrap().clone();
        assert!(signed.note().signatures().len() > 1, "no grease");
        self.seen.insert(checkpoint.size, checkpoint.root);

        let bundles = bundles(ledger, checkpoint.size);
        let mut replay = Replay::new(1 << 33);
        let mut frontier = Frontier::new();
        for (index, leaf) in bundles.iter().enumerate() {
            replay.leaf(leaf).unwrap_or_else(|broken| panic!("leaf {index}: {broken}"));
            frontier.push(leaf_hash(leaf));
            if let Some(root) = self.seen.get(&frontier.size()) {
                assert_eq!(
                    frontier.root(),
                    *root,
                    "the checkpoint of size {} was taken back",
                    frontier.size()
                );
            }
        }
        assert!(self.seen.keys().all(|size| *size <= checkpoint.size), "a longer log was seen before");
        replay.published(checkpoint.size).unwrap();
        check_tiles(ledger, checkpoint.size, &bundles);

        let leaves: Vec<Leaf> = bundles.iter().map(|leaf| Leaf::parse(leaf).unwrap()).collect();
        check_proofs(ledger, &leaves);
        check_repositories(ledger, &leaves);
        Audited { size: checkpoint.size, leaves }
    }
}

fn bundles(ledger: &Ledger, size: u64) -> Vec<Vec<u8>> {
    let tiles = tiles_of_size(size).filter(|tile| tile.level == 0);
    tiles
        .flat_map(|tile| {
            let id = EntriesId { index: tile.index, width: tile.width };
            let bundle = ledger.entries(id).unwrap().unwrap();
            decode_entries(&bundle, tile.width).unwrap().into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
        })
        .collect()
}

/// Every tile against hashes computed from the leaves alone.
fn check_tiles(ledger: &Ledger, size: u64, leaves: &[Vec<u8>]) {
    let width = usize::from(TILE_WIDTH);
    let mut row: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let mut level = 0;
    for tile in tiles_of_size(size) {
        while level < tile.level {
            row = row.chunks_exact(width).map(perfect).collect();
            level += 1;
        }
        let from = usize::try_from(tile.index).unwrap() * width;
        let expected: Vec<u8> =
            row[from..from + usize::from(tile.width)].iter().flat_map(|hash| *hash.as_bytes()).collect();
        assert_eq!(ledger.tile(tile).unwrap().unwrap(), expected, "{tile}");
    }
}

fn perfect(hashes: &[Hash]) -> Hash {
    match hashes {
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&perfect(left), &perfect(right))
        }
    }
}

/// The newest leaf of every tag is what its proof, its lookup and its history say.
fn check_proofs(ledger: &Ledger, leaves: &[Leaf]) {
    let mut newest: BTreeMap<String, (TagName, u64)> = BTreeMap::new();
    for (index, leaf) in (0..).zip(leaves) {
        let (name, tag) = match leaf {
            Leaf::Tag(record) | Leaf::Seen(record) => (&record.name, &record.tag),
            Leaf::Supersede { name, tag, .. } | Leaf::Thaw { name, tag, .. } => (name, tag),
            _ => continue,
        };
        let tag = TagName { name: name.clone(), tag: tag.clone() };
        newest.insert(tag.to_string(), (tag, index));
    }
    for (tag, index) in newest.values() {
        let proof = ledger.tag_proof(tag).unwrap();
        let verified = taglog::verify(&proof, tag, ledger.verifier_key()).unwrap();
        let leaf = &leaves[usize::try_from(*index).unwrap()];
        assert_eq!(verified.current, Some((*index, leaf.clone())), "{tag}");
        let record = ledger.lookup(&TagKey::of(&tag.name, &tag.tag)).unwrap().unwrap();
        let published = record.index() < leaves.len() as u64;
        assert!(!published || (record.index(), &record.entry().leaf) == (*index, leaf), "{tag}");
        let history = ledger.history(record.key()).unwrap();
        let expected: Vec<&Leaf> = leaves.iter().filter(|leaf| key_of(leaf) == Some(*record.key())).collect();
        assert_eq!(history.iter().map(|entry| &entry.leaf).collect::<Vec<_>>(), expected, "{tag}");
    }
}

/// Every repository is proved with its newest leaves and no others, and one that is not there with none.
fn check_repositories(ledger: &Ledger, leaves: &[Leaf]) {
    let stranger = Name::parse_canonical("ghcr.io/never/recorded").unwrap();
    let mut newest: BTreeMap<Name, BTreeMap<TagKey, u64>> = BTreeMap::from([(stranger, BTreeMap::new())]);
    for (index, leaf) in (0..).zip(leaves) {
        if let Some((name, tag, _)) = leaf.current() {
            newest.entry(name.clone()).or_default().insert(TagKey::of(name, tag), index);
        }
    }
    for (name, tags) in newest {
        let proof = match ledger.repository_proof(&name) {
            Err(Error::NotYetPublished { .. }) if ledger.signed().borrow().size > leaves.len() as u64 => {
                continue;
            }
            proof => proof.unwrap(),
        };
        let proved = taglog::verify_prefix(&proof, &name, ledger.verifier_key()).unwrap().current;
        let expected: Vec<(u64, Leaf)> = tags
            .into_values()
            .map(|index| (index, leaves[usize::try_from(index).unwrap()].clone()))
            .collect();
        assert_eq!(proved, expected, "{name}");
    }
}
