//! The rules that an auditor replays: U, I, L, T and G of the specification.
//!
//! One leaf after the other, from the first; what a leaf says is believed only where it follows
//! from those before it. Reads nothing: the caller brings leaves, sizes and the time.

use std::collections::{HashMap, HashSet};
use std::fmt;

use oci::{Name, Sha256Digest, Tag};
use tlog::leaf_hash;

use crate::{Leaf, MapValue, SupersedeRule, TagKey, TagMap};

/// How far a leaf's time may be ahead of the auditor's clock, in seconds (rule T).
pub const FUTURE: u64 = 300;
/// Leaves between two `index` leaves, at most: so many lie at most between a leaf that breaks a rule and what
/// the log itself says of the map before it, which bounds the evidence.
pub const MAX_BATCH: u64 = 2_048;

/// Which rule is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Every leaf obeys the grammar, names are canonical, nothing follows a `close` but its index.
    G,
    /// Every `index` leaf equals the replayed map, and at most [`MAX_BATCH`] leaves lie between two.
    I,
    /// The last leaf of every published checkpoint is an `index` leaf.
    L,
    /// `time` never decreases and is not in the future.
    T,
    /// One `tag` leaf for a key; a frozen tag changes only as leaf 0 allows.
    U,
}

/// A broken rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("leaf {index} breaks rule {rule}: {why}")]
pub struct Broken {
    /// Which rule.
    pub rule: Rule,
    /// Which leaf; for rule L the last of the published size.
    pub index: u64,
    /// What is wrong.
    pub why: String,
}

/// A log replayed up to some leaf.
#[derive(Debug)]
pub struct Replay {
    latest: u64,
    size: u64,
    last_time: u64,
    supersede: SupersedeRule,
    closed: Option<u64>,
    tags: HashMap<TagKey, State>,
    moves: HashSet<(TagKey, Sha256Digest, Sha256Digest)>,
    map: TagMap,
    /// Leaves since the last `index` leaf.
    batch: u64,
    /// One bit for each leaf: whether it is an `index` leaf.
    indexes: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    digest: Sha256Digest,
    frozen: bool,
    had_tag: bool,
}

impl Replay {
    /// Begins before leaf 0; `now` is the auditor's clock in Unix seconds.
    pub fn new(now: u64) -> Self {
        Self {
            latest: now.saturating_add(FUTURE),
            size: 0,
            last_time: 0,
            supersede: SupersedeRule::Never,
            closed: None,
            tags: HashMap::new(),
            moves: HashSet::new(),
            map: TagMap::new(),
            batch: 0,
            indexes: Vec::new(),
        }
    }

    /// Takes the next leaf.
    ///
    /// # Errors
    ///
    /// The rule that it breaks; the replay is over then.
    pub fn leaf(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let index = self.size;
        let broken = |(rule, why): (Rule, String)| Broken { rule, index, why };
        let leaf = Leaf::parse(bytes).map_err(|error| broken((Rule::G, error.to_string())))?;
        if let Some(key) = self.check(index, &leaf).map_err(broken)? {
            self.map.insert(key, MapValue { index, leaf_hash: leaf_hash(bytes) });
        }
        self.note_index(matches!(leaf, Leaf::Index { .. }));
        self.size += 1;
        Ok(())
    }

    /// Checks a size for which a checkpoint was published; its leaves have to be replayed.
    ///
    /// # Errors
    ///
    /// Rule L.
    pub fn published(&self, size: u64) -> Result<(), Broken> {
        let broken = |index, why: &str| Err(Broken { rule: Rule::L, index, why: why.to_owned() });
        if size == 0 || size > self.size {
            return broken(size, "published size outside the log");
        }
        let last = size - 1;
        let word = usize::try_from(last / 64).ok().and_then(|word| self.indexes.get(word)).copied();
        if word.is_some_and(|word| word >> (last % 64) & 1 == 1) {
            return Ok(());
        }
        broken(last, "published checkpoint does not end in an index leaf")
    }

    /// Whether a `close` leaf was replayed.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// The map over all leaves taken.
    pub fn map(&self) -> &TagMap {
        &self.map
    }

    /// Leaves taken.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The key that the map has at this leaf from now on, if any.
    fn check(&mut self, index: u64, leaf: &Leaf) -> Result<Option<TagKey>, (Rule, String)> {
        let no = |rule, why: &str| Err((rule, why.to_owned()));
        if (index == 0) != matches!(leaf, Leaf::Log { .. }) {
            return no(Rule::G, "leaf 0, and only leaf 0, states the rules");
        }
        if self.closed.is_some_and(|closed| index != closed + 1 || !matches!(leaf, Leaf::Index { .. })) {
            return no(Rule::G, "a leaf after the close");
        }
        if self.batch == MAX_BATCH && !matches!(leaf, Leaf::Index { .. }) {
            return no(Rule::I, "too many leaves without an index leaf");
        }
        if let Some(time) = leaf.time() {
            if time < self.last_time {
                return no(Rule::T, "time decreases");
            }
            if time > self.latest {
                return no(Rule::T, "time in the future");
            }
            self.last_time = time;
        }
        match leaf {
            Leaf::Log { supersede, .. } => self.supersede = *supersede,
            Leaf::Index { index: own, count, root } => {
                if (*own, *count) != (index, self.map.len()) || *root != self.map.root() {
                    return no(Rule::I, "index leaf does not match the replayed map");
                }
            }
            Leaf::Close { .. } => self.closed = Some(index),
            Leaf::Unknown { .. } => {}
            Leaf::Tag(record) => return self.tag(&record.name, &record.tag, record.digest).map(Some),
            Leaf::Seen(record) => return self.seen(&record.name, &record.tag, record.digest).map(Some),
            Leaf::Moved { name, tag, recorded, seen, .. } => self.moved(name, tag, *recorded, *seen)?,
            Leaf::Supersede { name, tag, old, new, .. } => {
                return self.superseded(name, tag, *old, *new).map(Some);
            }
            Leaf::Thaw { name, tag, digest, .. } => return self.thawed(name, tag, *digest).map(Some),
        }
        Ok(None)
    }

    /// None or observed becomes frozen, once.
    fn tag(&mut self, name: &Name, tag: &Tag, digest: Sha256Digest) -> Result<TagKey, (Rule, String)> {
        let key = TagKey::of(name, tag);
        if self.tags.get(&key).is_some_and(|state| state.had_tag) {
            return Err((Rule::U, "second tag leaf for one key".to_owned()));
        }
        self.tags.insert(key, State { digest, frozen: true, had_tag: true });
        Ok(key)
    }

    /// None or observed becomes observed elsewhere.
    fn seen(&mut self, name: &Name, tag: &Tag, digest: Sha256Digest) -> Result<TagKey, (Rule, String)> {
        let key = TagKey::of(name, tag);
        let before = self.tags.get(&key);
        if before.is_some_and(|state| state.frozen) {
            return Err((Rule::U, "seen leaf for a frozen tag".to_owned()));
        }
        if before.is_some_and(|state| state.digest == digest) {
            return Err((Rule::U, "seen leaf without a change".to_owned()));
        }
        let had_tag = before.is_some_and(|state| state.had_tag);
        self.tags.insert(key, State { digest, frozen: false, had_tag });
        Ok(key)
    }

    /// Evidence changes nothing.
    fn moved(
        &mut self,
        name: &Name,
        tag: &Tag,
        recorded: Sha256Digest,
        seen: Sha256Digest,
    ) -> Result<(), (Rule, String)> {
        let key = TagKey::of(name, tag);
        let frozen_there = self.tags.get(&key).is_some_and(|state| state.frozen && state.digest == recorded);
        if !frozen_there || recorded == seen {
            return Err((Rule::U, "moved does not name the current digest".to_owned()));
        }
        if !self.moves.insert((key, recorded, seen)) {
            return Err((Rule::U, "the same move twice".to_owned()));
        }
        Ok(())
    }

    /// Frozen becomes frozen elsewhere; thawed becomes frozen again.
    fn superseded(
        &mut self,
        name: &Name,
        tag: &Tag,
        old: Sha256Digest,
        new: Sha256Digest,
    ) -> Result<TagKey, (Rule, String)> {
        self.allowed("supersede")?;
        let key = TagKey::of(name, tag);
        let stands =
            |state: &&mut State| state.had_tag && state.digest == old && !(state.frozen && old == new);
        match self.tags.get_mut(&key).filter(stands) {
            None => Err((Rule::U, "supersede does not name the current digest".to_owned())),
            Some(state) => {
                *state = State { digest: new, frozen: true, had_tag: true };
                Ok(key)
            }
        }
    }

    /// Frozen becomes observed.
    fn thawed(&mut self, name: &Name, tag: &Tag, digest: Sha256Digest) -> Result<TagKey, (Rule, String)> {
        self.allowed("thaw")?;
        let key = TagKey::of(name, tag);
        let stands = |state: &&mut State| state.frozen && state.digest == digest;
        match self.tags.get_mut(&key).filter(stands) {
            None => Err((Rule::U, "thaw does not name the current digest".to_owned())),
            Some(state) => {
                state.frozen = false;
                Ok(key)
            }
        }
    }

    fn allowed(&self, kind: &str) -> Result<(), (Rule, String)> {
        match self.supersede {
            SupersedeRule::Operator => Ok(()),
            SupersedeRule::Never => Err((Rule::U, format!("leaf 0 forbids {kind}"))),
        }
    }

    fn note_index(&mut self, is_index: bool) {
        self.batch = if is_index { 0 } else { self.batch + 1 };
        if self.size.is_multiple_of(64) {
            self.indexes.push(0);
        }
        if let Some(word) = self.indexes.last_mut() {
            *word |= u64::from(is_index) << (self.size % 64);
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
