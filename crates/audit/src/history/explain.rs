//! Evidence for a leaf that breaks a rule: that leaf, and as few others as show it.
//!
//! Reads the log a second time, which only happens for a log that is at fault.

use std::collections::{BTreeMap, BTreeSet};

use oci::TagName;
use taglog::{Broken, Leaf, MAX_BATCH, MapProof, Replay, TagKey, TagMap};
use tlog::{SignedCheckpoint, VerifierKey, leaf_hash};

use crate::Error;
use crate::evidence::{
    CurrentLeaf, Evidence, Fault, Finding, MapClaim, RuleName, SignedLeaf, Verdict, is_same_move, is_tag_of,
    shows, subject,
};
use crate::tree::Tree;

/// Places of a whole history that is written down, at most: the first batch begins with none of an index leaf before it.
const MAX_HISTORY: u64 = MAX_BATCH + 1;

/// Evidence for a checkpoint whose last leaf is no index leaf (rule L).
pub(super) async fn unfinished(
    tree: &mut Tree,
    published: &SignedCheckpoint,
    broken: &Broken,
) -> Result<Finding, Error> {
    let size = published.checkpoint().size;
    let mut leaves = Vec::new();
    if let Some(last) = size.checked_sub(1) {
        let proof = tree.inclusion_at(last, size).await?;
        leaves.push(SignedLeaf { index: last, leaf: tree.leaf(last).await?, proof });
    }
    let fault = Fault::Leaf {
        checkpoint: published.clone(),
        rule: broken.rule.into(),
        index: broken.index,
        leaves,
        map: Vec::new(),
    };
    Ok(Finding::new(broken.to_string(), fault))
}

/// Evidence for a leaf that breaks a rule.
pub(super) async fn broken(
    tree: &mut Tree,
    log: &VerifierKey,
    broken: &Broken,
    now: u64,
) -> Result<Finding, Error> {
    let history = History::read(tree, broken.index, now).await?;
    let worth = |finding: &Finding| match shows(&Evidence::new(log, now, finding.clone()), now) {
        Ok(Verdict::Proven | Verdict::Contradiction) => 2,
        Ok(Verdict::Reported(_)) => 1,
        Err(_nothing) => 0,
    };
    let mut best = written(tree, broken, history.closest()).await?;
    let larger = [history.since_index(broken.rule.into()), history.whole()];
    for selection in larger.into_iter().flatten() {
        if worth(&best) == 2 {
            break;
        }
        let next = written(tree, broken, selection).await?;
        if worth(&next) > worth(&best) {
            best = next;
        }
    }
    Ok(best)
}

async fn written(tree: &mut Tree, broken: &Broken, selection: Selection) -> Result<Finding, Error> {
    let mut leaves = Vec::new();
    for index in selection.indexes {
        leaves.push(SignedLeaf { index, leaf: tree.leaf(index).await?, proof: tree.inclusion(index).await? });
    }
    let fault = Fault::Leaf {
        checkpoint: tree.signed().clone(),
        rule: broken.rule.into(),
        index: broken.index,
        leaves,
        map: selection.map,
    };
    Ok(Finding::new(broken.to_string(), fault))
}

/// Places of leaves, and what the map says of their keys.
struct Selection {
    indexes: BTreeSet<u64>,
    map: Vec<MapClaim>,
}

/// What the leaves before the one in question have to do with it.
struct History {
    index: u64,
    subject: Option<TagName>,
    /// The last index leaf, and the map that it states.
    base: Option<(u64, TagMap)>,
    /// Leaves behind it that the map points to, and others; no more than rule I allows.
    tail: BTreeMap<u64, Vec<u8>>,
    /// Earlier leaves that alone may show the fault.
    earlier: BTreeSet<u64>,
}

impl History {
    async fn read(tree: &mut Tree, index: u64, now: u64) -> Result<Self, Error> {
        let parsed = Leaf::parse(&tree.leaf(index).await?).ok();
        let subject = parsed.as_ref().and_then(subject);
        let mut history =
            Self { index, subject, base: None, tail: BTreeMap::new(), earlier: BTreeSet::new() };
        let mut replay = Replay::new(now);
        let mut latest_time = None;
        for bundle in 0..=index / u64::from(tlog::TILE_WIDTH) {
            let bundle = tree.bundle(bundle).await?;
            for (at, bytes) in bundle.leaves().take_while(|(at, _)| *at < index) {
                // The first replay came this far.
                if let (Ok(()), Ok(leaf)) = (replay.leaf(bytes), Leaf::parse(bytes)) {
                    history.take(at, bytes, &leaf, parsed.as_ref(), replay.map());
                    latest_time = leaf.time().map(|_| at).or(latest_time);
                }
            }
        }
        history.earlier.extend(latest_time);
        Ok(history)
    }

    fn take(&mut self, at: u64, bytes: &[u8], leaf: &Leaf, wrong: Option<&Leaf>, map: &TagMap) {
        let tells = match leaf {
            Leaf::Log { .. } | Leaf::Close { .. } => true,
            _ => {
                let same_tag = self.subject.as_ref().is_some_and(|subject| is_tag_of(leaf, subject));
                same_tag || wrong.is_some_and(|wrong| is_same_move(leaf, wrong))
            }
        };
        if tells {
            self.earlier.insert(at);
        }
        if matches!(leaf, Leaf::Index { .. }) {
            self.base = Some((at, map.clone()));
            self.tail.clear();
        } else {
            self.tail.insert(at, bytes.to_vec());
        }
    }

    /// The leaf and those that contradict it by themselves.
    fn closest(&self) -> Selection {
        let indexes = self.earlier.iter().copied().chain([self.index]).collect();
        Selection { indexes, map: Vec::new() }
    }

    /// The last index leaf and everything since, with what its map says of the keys.
    fn since_index(&self, rule: RuleName) -> Option<Selection> {
        let (base, map) = self.base.as_ref()?;
        let mut indexes = self.earlier.clone();
        indexes.extend(*base..=self.index);
        let claims = match rule {
            RuleName::I => claims_in_turn(map, &self.tail),
            _ => {
                let subject = self.subject.as_ref()?;
                let proof = map.prove(&TagKey::of(&subject.name, &subject.tag));
                indexes.extend(proof.value().map(|value| value.index));
                vec![claim(self.index, &proof)]
            }
        };
        Some(Selection { indexes, map: claims })
    }

    /// All leaves so far.
    fn whole(&self) -> Option<Selection> {
        let indexes = (self.index <= MAX_HISTORY).then(|| (0..=self.index).collect())?;
        Some(Selection { indexes, map: Vec::new() })
    }
}

/// What the map says of each leaf's key before that leaf, one leaf after the other.
fn claims_in_turn(map: &TagMap, tail: &BTreeMap<u64, Vec<u8>>) -> Vec<MapClaim> {
    let mut map = map.clone();
    let mut claims = Vec::new();
    for (at, bytes) in tail {
        let Ok(leaf) = Leaf::parse(bytes) else { continue };
        let Some((name, tag, _)) = leaf.current() else { continue };
        let key = TagKey::of(name, tag);
        claims.push(claim(*at, &map.prove(&key)));
        map.insert(key, taglog::MapValue { index: *at, leaf_hash: leaf_hash(bytes) });
    }
    claims
}

fn claim(of: u64, proof: &MapProof) -> MapClaim {
    let current = proof.value().map(|value| CurrentLeaf { index: value.index, hash: value.leaf_hash });
    MapClaim { of, current, proof: proof.bytes().to_vec() }
}
