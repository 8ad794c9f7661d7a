//! Whether leaves that a log signed break a rule, shown by as few of them as it takes.
//!
//! What the log's own index leaf says of a key before the leaf in question stands for all of history
//! before it: if that is not true, the index leaf is the fault. All leaves from the first one on are
//! simply replayed.

use std::collections::BTreeMap;

use oci::{Sha256Digest, TagName};
use taglog::{FUTURE, Leaf, MAX_BATCH, Replay, SupersedeRule, TagKey};
use tlog::leaf_hash;

use super::update::{root_after, root_before};
use super::{CurrentLeaf, MapClaim, RuleName};

/// What leaves show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    /// The rule is broken.
    Broken,
    /// It is not.
    Kept,
    /// It takes more leaves to tell.
    Unknown,
}

/// The parts of the evidence; every leaf is known to be in the signed tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) rule: RuleName,
    pub(super) index: u64,
    pub(super) leaves: &'a BTreeMap<u64, &'a [u8]>,
    pub(super) map: &'a [MapClaim],
    /// Leaves of the signed tree.
    pub(super) size: u64,
    /// The clock of whoever wrote the evidence.
    pub(super) written: u64,
    /// The clock of whoever reads it.
    pub(super) now: u64,
}

/// What a key is at one place of the log.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Nothing: the map has no such key.
    current: Option<Current>,
    /// Nothing: it takes the whole history to tell.
    had_tag: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    digest: Sha256Digest,
    frozen: bool,
}

/// Judges the leaf in question.
pub(super) fn judge(facts: &Facts<'_>) -> Shown {
    if facts.rule == RuleName::L {
        return facts.last_leaf();
    }
    if (0..=facts.index).all(|index| facts.leaves.contains_key(&index)) {
        return facts.whole_history();
    }
    let Some(bytes) = facts.leaves.get(&facts.index) else { return Shown::Unknown };
    match (facts.rule, Leaf::parse(bytes)) {
        (RuleName::G, Err(_)) => Shown::Broken,
        (_, Err(_)) => Shown::Unknown,
        (RuleName::G, Ok(leaf)) => facts.grammar(&leaf),
        (RuleName::T, Ok(leaf)) => facts.time(&leaf),
        (RuleName::I, Ok(leaf)) => facts.map_root(&leaf),
        (RuleName::U, Ok(leaf)) => facts.uniqueness(&leaf),
        (RuleName::L, Ok(_)) => Shown::Unknown,
    }
}

impl Facts<'_> {
    fn last_leaf(&self) -> Shown {
        if self.size == 0 {
            return Shown::Broken;
        }
        match self.leaves.get(&(self.size - 1)).map(|bytes| Leaf::parse(bytes)) {
            None => Shown::Unknown,
            Some(Ok(Leaf::Index { .. })) => Shown::Kept,
            Some(_) => Shown::Broken,
        }
    }

    fn whole_history(&self) -> Shown {
        let mut replay = Replay::new(self.now);
        for leaf in self.leaves.range(..=self.index) {
            if let Err(broken) = replay.leaf(leaf.1) {
                let as_said = broken.index == self.index && RuleName::from(broken.rule) == self.rule;
                return if as_said { Shown::Broken } else { Shown::Kept };
            }
        }
        match self.leaf(self.index) {
            Some(leaf) if self.rule == RuleName::T => self.time(&leaf),
            _ => Shown::Kept,
        }
    }

    fn grammar(&self, leaf: &Leaf) -> Shown {
        if (self.index == 0) != matches!(leaf, Leaf::Log { .. }) {
            return Shown::Broken;
        }
        let closed = self.before().find(|(_, leaf)| matches!(leaf, Leaf::Close { .. }));
        match closed {
            Some((at, _)) if self.index == at + 1 && matches!(leaf, Leaf::Index { .. }) => Shown::Kept,
            Some(_) => Shown::Broken,
            None => Shown::Kept,
        }
    }

    fn time(&self, leaf: &Leaf) -> Shown {
        let Some(time) = leaf.time() else { return Shown::Kept };
        let decreases = self.before().any(|(_, earlier)| earlier.time().is_some_and(|before| before > time));
        if decreases || time > self.now.saturating_add(FUTURE) {
            return Shown::Broken;
        }
        if time > self.written.saturating_add(FUTURE) { Shown::Unknown } else { Shown::Kept }
    }

    /// From the index leaf before, one key after the other.
    fn map_root(&self, leaf: &Leaf) -> Shown {
        let Leaf::Index { index, count, root } = leaf else { return self.batch() };
        if *index != self.index {
            return Shown::Broken;
        }
        let base = self.before().filter(|(_, leaf)| matches!(leaf, Leaf::Index { .. })).last();
        let Some((at, Leaf::Index { count: count_before, root: root_before_all, .. })) = base else {
            return Shown::Unknown;
        };
        let (mut replayed_count, mut replayed) = (count_before, root_before_all);
        for place in at + 1..self.index {
            let Some(bytes) = self.leaves.get(&place) else { return Shown::Unknown };
            let Ok(leaf) = Leaf::parse(bytes) else { return Shown::Unknown };
            let Some((name, tag, _)) = leaf.current() else { continue };
            let key = TagKey::of(name, tag);
            let Some(claim) = self.claim(place) else { return Shown::Unknown };
            let new = CurrentLeaf { index: place, hash: leaf_hash(bytes) };
            let before = root_before(&key, claim.current, &claim.proof);
            let after = root_after(&key, claim.current, &claim.proof, new);
            match (before, after) {
                (Ok(before), Ok(after)) if before == replayed => replayed = after,
                _ => return Shown::Unknown,
            }
            replayed_count += u64::from(claim.current.is_none());
        }
        if (replayed_count, replayed) == (*count, *root) { Shown::Kept } else { Shown::Broken }
    }

    /// Whether the leaf in question is one too many since the last index leaf.
    fn batch(&self) -> Shown {
        let Some(first) = self.index.checked_sub(MAX_BATCH) else { return Shown::Kept };
        let mut leaves =
            (first..self.index).map(|place| self.leaves.get(&place).map(|leaf| Leaf::parse(leaf)));
        if leaves.clone().any(|leaf| matches!(leaf, Some(Ok(Leaf::Index { .. })))) {
            Shown::Kept
        } else if leaves.all(|leaf| leaf.is_some()) {
            Shown::Broken
        } else {
            Shown::Unknown
        }
    }

    fn uniqueness(&self, leaf: &Leaf) -> Shown {
        let Some(subject) = subject(leaf) else { return Shown::Kept };
        let forbidden = matches!(self.leaf(0), Some(Leaf::Log { supersede: SupersedeRule::Never, .. }));
        let had_tag = self.before().any(|(_, leaf)| is_tag_of(&leaf, &subject));
        let same_move = self.before().any(|(_, earlier)| is_same_move(&earlier, leaf));
        match leaf {
            Leaf::Tag(_) if had_tag => return Shown::Broken,
            Leaf::Supersede { .. } | Leaf::Thaw { .. } if forbidden => return Shown::Broken,
            Leaf::Moved { recorded, seen, .. } if same_move || recorded == seen => return Shown::Broken,
            _ => {}
        }
        let Some(state) = self.state_before(&subject) else { return Shown::Unknown };
        breaks(leaf, &state)
    }

    /// What the last index leaf and the leaves behind it make of a key.
    fn state_before(&self, subject: &TagName) -> Option<State> {
        let base = self.before().filter(|(_, leaf)| matches!(leaf, Leaf::Index { .. })).last();
        let (at, Leaf::Index { root, .. }) = base? else { return None };
        let claim = self.claim(self.index)?;
        let key = TagKey::of(&subject.name, &subject.tag);
        if root_before(&key, claim.current, &claim.proof) != Ok(root) {
            return None;
        }
        let mut state = State { current: None, had_tag: Some(false) };
        if let Some(current) = claim.current {
            let bytes = self.leaves.get(&current.index).filter(|bytes| leaf_hash(bytes) == current.hash)?;
            let leaf = Leaf::parse(bytes).ok()?;
            // What stood there before it, this leaf alone does not tell.
            state.had_tag = None;
            state.apply(&leaf);
            if self.before().any(|(_, leaf)| is_tag_of(&leaf, subject)) {
                state.had_tag = Some(true);
            }
        }
        for place in at + 1..self.index {
            let leaf = self.leaf(place)?;
            if self::subject(&leaf).as_ref() == Some(subject) {
                state.apply(&leaf);
            }
        }
        Some(state)
    }

    fn before(&self) -> impl Iterator<Item = (u64, Leaf)> {
        let leaves = self.leaves.range(..self.index);
        leaves.filter_map(|(index, bytes)| Some((*index, Leaf::parse(bytes).ok()?)))
    }

    fn leaf(&self, index: u64) -> Option<Leaf> {
        Leaf::parse(self.leaves.get(&index)?).ok()
    }

    fn claim(&self, of: u64) -> Option<&MapClaim> {
        self.map.iter().find(|claim| claim.of == of)
    }
}

impl State {
    fn apply(&mut self, leaf: &Leaf) {
        let (digest, frozen) = match leaf {
            Leaf::Tag(record) => (record.digest, true),
            Leaf::Supersede { new, .. } => (*new, true),
            Leaf::Thaw { digest, .. } => (*digest, false),
            Leaf::Seen(record) => (record.digest, false),
            _ => return,
        };
        self.current = Some(Current { digest, frozen });
        if !matches!(leaf, Leaf::Seen(_)) {
            // A supersede or thaw is possible only behind a tag.
            self.had_tag = Some(true);
        }
    }
}

/// Rule U for one leaf of a key in a known state, where leaf 0 allows its kind.
fn breaks(leaf: &Leaf, state: &State) -> Shown {
    let frozen_at = |digest: &Sha256Digest| {
        state.current.is_some_and(|current| current.frozen && current.digest == *digest)
    };
    let broken = match leaf {
        Leaf::Tag(_) => match state.had_tag {
            Some(had_tag) => had_tag,
            None => return Shown::Unknown,
        },
        Leaf::Seen(record) => {
            state.current.is_some_and(|current| current.frozen || current.digest == record.digest)
        }
        Leaf::Moved { recorded, .. } => !frozen_at(recorded),
        Leaf::Thaw { digest, .. } => !frozen_at(digest),
        Leaf::Supersede { old, new, .. } => match (state.current, state.had_tag) {
            (None, _) | (_, Some(false)) => true,
            (Some(current), _) if current.digest != *old || (current.frozen && old == new) => true,
            (Some(_), None) => return Shown::Unknown,
            (Some(_), Some(true)) => false,
        },
        _ => false,
    };
    if broken { Shown::Broken } else { Shown::Kept }
}

/// The tag that a leaf is about.
pub(crate) fn subject(leaf: &Leaf) -> Option<TagName> {
    let (name, tag) = match leaf {
        Leaf::Moved { name, tag, .. } => (name, tag),
        _ => leaf.current().map(|(name, tag, _)| (name, tag))?,
    };
    Some(TagName { name: name.clone(), tag: tag.clone() })
}

/// Whether a leaf is the `tag` leaf of a tag.
pub(crate) fn is_tag_of(leaf: &Leaf, subject: &TagName) -> bool {
    matches!(leaf, Leaf::Tag(record) if record.name == subject.name && record.tag == subject.tag)
}

/// Whether two leaves say that the same tag moved from and to the same digests.
pub(crate) fn is_same_move(a: &Leaf, b: &Leaf) -> bool {
    match (a, b) {
        (
            Leaf::Moved { name, tag, recorded, seen, .. },
            Leaf::Moved { name: name_b, tag: tag_b, recorded: recorded_b, seen: seen_b, .. },
        ) => (name, tag, recorded, seen) == (name_b, tag_b, recorded_b, seen_b),
        _ => false,
    }
}
