//! One batch: decides what each submission means for the log and writes the rows of it inside the open transaction.
//! The rules are those an auditor replays (design §4, U and T). It must not know threads, COMMIT or who waits.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Name, Sha256Digest, Tag};
use rusqlite::Connection;
use taglog::{Leaf, MapValue, Record, SupersedeRule, TagKey, TagMap};
use tlog::{Frontier, leaf_hash};

use crate::budgets::{Budget, Budgets, Charge, Spent, seconds_until_tomorrow};
use crate::edge::{Edge, FullTile};
use crate::error::{AppendError, ClockError, Error};
use crate::lookup::{self, RecordCache};
use crate::record::{Entry, Recorded};
use crate::store::{self, Standing, TagRow, corrupt};
use crate::submission::{Appended, ManifestBytes, NotRecorded, Observation, Submission};

/// Seconds that the clock may be behind the last leaf.
const BEHIND: u64 = 300;
/// Seconds that the clock may be away from an upstream's `Date`.
const DAY: u64 = 86_400;
/// The largest time a leaf can say.
const LAST_TIME: u64 = 9_999_999_999;

/// The end of the log that the next batch is appended to. A clone costs a few kilobytes.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) frontier: Frontier,
    pub(crate) edge: Edge,
    pub(crate) map: TagMap,
    /// Unix seconds of the last leaf that has a time; 0 for none.
    pub(crate) last_time: u64,
}

/// What a batch is decided against, besides the tip.
pub(crate) struct Terms<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) cache: &'a RecordCache,
    pub(crate) supersede: SupersedeRule,
    pub(crate) limits: &'a Budgets,
    /// Unix seconds, now.
    pub(crate) now: u64,
    /// Bytes free on the volume; what cannot be measured is taken as enough.
    pub(crate) free: u64,
}

/// A failure of one submission, or of the whole batch.
enum Failure {
    /// Only this submission fails; it has written nothing.
    One(AppendError),
    /// The transaction cannot go on.
    Batch(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Batch(error)
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        Self::One(error)
    }
}

impl From<ClockError> for Failure {
    fn from(error: ClockError) -> Self {
        Self::One(error.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Store { source, .. } => Self::Batch(source),
            other => Self::One(AppendError::Store(Arc::new(other))),
        }
    }
}

/// A batch being written.
pub(crate) struct Draft<'a> {
    terms: Terms<'a>,
    spent: &'a mut Spent,
    tip: Tip,
    full: Vec<FullTile>,
    /// Records of this batch; the map of the tip knows only their index and hash.
    fresh: HashMap<TagKey, Arc<Recorded>>,
    charges: Vec<Charge>,
    leaves: u64,
    kept: u64,
    unrecorded_moves: u64,
    clock_agrees: Option<bool>,
}

/// A batch whose rows are written.
pub(crate) struct Drafted {
    /// The log with the batch.
    pub(crate) tip: Tip,
    /// The tree without the index leaf.
    pub(crate) before: Frontier,
    /// Records it made, for the cache.
    pub(crate) fresh: HashMap<TagKey, Arc<Recorded>>,
    /// Budgets it spent.
    pub(crate) charges: Vec<Charge>,
    /// Leaves it appends, its index leaf included; 0 for none.
    pub(crate) leaves: u64,
    /// Manifests it keeps without a leaf.
    pub(crate) kept: u64,
    /// Moves counted and not recorded.
    pub(crate) unrecorded_moves: u64,
    /// Whether the clock agreed with the last dated upstream answer, if there was one.
    pub(crate) clock_agrees: Option<bool>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(terms: Terms<'a>, tip: Tip, spent: &'a mut Spent) -> Self {
        Self {
            terms,
            spent,
            tip,
            full: Vec::new(),
            fresh: HashMap::new(),
            charges: Vec::new(),
            leaves: 0,
            kept: 0,
            unrecorded_moves: 0,
            clock_agrees: None,
        }
    }

    /// Decides one submission and writes its rows. `Err` in the outer result ends the batch.
    pub(crate) fn submit(
        &mut self,
        submission: &Submission,
    ) -> Result<Result<Appended, AppendError>, rusqlite::Error> {
        let decided = match submission {
            Submission::Record(observation) => self.record(observation),
            Submission::Moved { name, tag, recorded, seen, upstream_date } => {
                self.moved(name, tag, recorded, seen, *upstream_date)
            }
            Submission::Supersede { name, tag, old, manifest, reason } => {
                self.supersede(name, tag, old, manifest, reason)
            }
            Submission::Thaw { name, tag, digest, reason } => self.thaw(name, tag, digest, reason),
            Submission::KeepManifest { name, manifest } => self.keep_passing(name, manifest),
        };
        match decided {
            Ok(appended) => Ok(Ok(appended)),
            Err(Failure::One(error)) => Ok(Err(error)),
            Err(Failure::Batch(error)) => Err(error),
        }
    }

    /// Appends the index leaf and writes the tiles, if anything was appended.
    pub(crate) fn finish(mut self) -> rusqlite::Result<Drafted> {
        let before = self.tip.frontier.clone();
        if self.leaves > 0 {
            let index = Leaf::Index {
                index: self.tip.frontier.size(),
                count: self.tip.map.len(),
                root: self.tip.map.root(),
            };
            self.append(&index.to_bytes())?;
            for tile in &self.full {
                store::insert_tile(self.terms.connection, tile.level, tile.index, &tile.data)?;
            }
        }
        Ok(Drafted {
            tip: self.tip,
            before,
            fresh: self.fresh,
            charges: self.charges,
            leaves: self.leaves,
            kept: self.kept,
            unrecorded_moves: self.unrecorded_moves,
            clock_agrees: self.clock_agrees,
        })
    }

    /// Gives back the budgets of a batch that cannot be finished.
    pub(crate) fn abandon(self) {
        for charge in &self.charges {
            self.spent.refund(charge);
        }
    }

    fn record(&mut self, seen: &Observation) -> Result<Appended, Failure> {
        let Observation { freeze, name, tag, manifest, upstream_date, .. } = seen;
        let key = TagKey::of(name, tag);
        let current = self.current(&key)?;
        // What is frozen, and what was thawed, is no longer this policy's to decide: rule U allows no second `tag` leaf.
        let had_tag = match &current {
            Some(record) if record.is_frozen() => true,
            Some(_) => self.row(&key)?.had_tag,
            None => false,
        };
        let freezes = *freeze && !had_tag;
        if let Some(record) = current.filter(|record| record.is_frozen() || !freezes) {
            if record.is_frozen() || record.digest() == manifest.digest() {
                self.keep_if_missing(&record, name, manifest)?;
                return Ok(Appended::Existing(record));
            }
            let time = self.time(*upstream_date)?;
            self.room()?;
            let bytes = manifest.bytes().len() as u64;
            self.charge(Charge { seen: Some(key), manifest_bytes: bytes, ..Charge::default() })?;
            let leaf = Leaf::Seen(leaf_of(name, tag, manifest, time));
            return self.change(key, &leaf, had_tag, Some((name, manifest)));
        }
        let time = self.time(*upstream_date)?;
        self.room()?;
        self.charge(Charge {
            client: seen.client,
            upstream: Some(seen.upstream.clone()),
            manifest_bytes: manifest.bytes().len() as u64,
            ..Charge::default()
        })?;
        let fields = leaf_of(name, tag, manifest, time);
        let leaf = if freezes { Leaf::Tag(fields) } else { Leaf::Seen(fields) };
        if self.tip.map.get(&key).is_some() {
            return self.change(key, &leaf, true, Some((name, manifest)));
        }
        let index = self.tip.frontier.size();
        match store::insert_tag(self.terms.connection, &key, TagRow { index, first: index, had_tag: freezes })
        {
            // The map was checked against all of `tags` at the start, so a row that it does not know was put there since.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                self.uncharge();
                return Err(corrupt(format!("the row of `{name}:{tag}`")).into());
            }
            other => other?,
        }
        let record = self.append_record(key, &leaf)?;
        self.keep(name, manifest)?;
        Ok(Appended::Recorded(record))
    }

    fn moved(
        &mut self,
        name: &Name,
        tag: &Tag,
        recorded: &Sha256Digest,
        seen: &Sha256Digest,
        upstream_date: Option<i64>,
    ) -> Result<Appended, Failure> {
        let key = TagKey::of(name, tag);
        let frozen_at = self.current(&key)?.filter(|record| record.is_frozen()).map(|record| record.digest());
        if frozen_at != Some(*recorded) || recorded == seen {
            return Ok(Appended::NotRecorded(NotRecorded::NotWanted));
        }
        if store::is_moved(self.terms.connection, &key, recorded, seen)? {
            return Ok(Appended::NotRecorded(NotRecorded::Already));
        }
        let time = self.time(upstream_date)?;
        // The refusal stands without the evidence, so what has no room is counted and forgotten.
        if self.room().is_err() {
            self.unrecorded_moves += 1;
            return Ok(Appended::NotRecorded(NotRecorded::DiskFull));
        }
        if self.charge(Charge { moved: Some(key), ..Charge::default() }).is_err() {
            self.unrecorded_moves += 1;
            return Ok(Appended::NotRecorded(NotRecorded::Budget));
        }
        let index = self.tip.frontier.size();
        store::insert_move(self.terms.connection, &key, recorded, seen)?;
        store::insert_change(self.terms.connection, &key, index)?;
        self.tip.last_time = time;
        let leaf =
            Leaf::Moved { name: name.clone(), tag: tag.clone(), recorded: *recorded, seen: *seen, time };
        self.append(&leaf.to_bytes())?;
        Ok(Appended::Evidence { index })
    }

    fn supersede(
        &mut self,
        name: &Name,
        tag: &Tag,
        old: &Sha256Digest,
        manifest: &ManifestBytes,
        reason: &taglog::Reason,
    ) -> Result<Appended, Failure> {
        self.operator()?;
        let key = TagKey::of(name, tag);
        let current = self.current(&key)?;
        let stands = match &current {
            Some(record) if record.digest() != *old => false,
            Some(record) if record.is_frozen() => *old != manifest.digest(),
            Some(_) => self.row(&key)?.had_tag,
            None => false,
        };
        if !stands {
            return Err(AppendError::NotCurrent { name: format!("{name}:{tag}"), current }.into());
        }
        let time = self.time(None)?;
        self.room()?;
        let leaf = Leaf::Supersede {
            name: name.clone(),
            tag: tag.clone(),
            old: *old,
            new: manifest.digest(),
            time,
            reason: reason.clone(),
        };
        self.change(key, &leaf, true, Some((name, manifest)))
    }

    fn thaw(
        &mut self,
        name: &Name,
        tag: &Tag,
        digest: &Sha256Digest,
        reason: &taglog::Reason,
    ) -> Result<Appended, Failure> {
        self.operator()?;
        let key = TagKey::of(name, tag);
        let current = self.current(&key)?;
        if !current.as_ref().is_some_and(|record| record.is_frozen() && record.digest() == *digest) {
            return Err(AppendError::NotCurrent { name: format!("{name}:{tag}"), current }.into());
        }
        let time = self.time(None)?;
        self.room()?;
        let leaf = Leaf::Thaw {
            name: name.clone(),
            tag: tag.clone(),
            digest: *digest,
            time,
            reason: reason.clone(),
        };
        self.change(key, &leaf, true, None)
    }

    fn keep_passing(&mut self, name: &Name, manifest: &ManifestBytes) -> Result<Appended, Failure> {
        match store::standing(self.terms.connection, name, &manifest.digest())? {
            Standing::Unknown => return Ok(Appended::NotRecorded(NotRecorded::NotWanted)),
            Standing::Fetched => return Ok(Appended::NotRecorded(NotRecorded::Already)),
            Standing::Named => {}
        }
        self.room()?;
        let bytes = manifest.bytes().len() as u64;
        self.charge(Charge { manifest_bytes: bytes, ..Charge::default() })?;
        self.keep(name, manifest)?;
        self.kept += 1;
        Ok(Appended::Kept)
    }

    /// Another upstream answer with the recorded digest: the manifest is kept if it was lost or never there.
    fn keep_if_missing(
        &mut self,
        record: &Recorded,
        name: &Name,
        manifest: &ManifestBytes,
    ) -> Result<(), Failure> {
        let digest = manifest.digest();
        if record.digest() != digest
            || store::standing(self.terms.connection, name, &digest)? == Standing::Fetched
            || self.room().is_err()
        {
            return Ok(());
        }
        let bytes = manifest.bytes().len() as u64;
        if self.charge(Charge { manifest_bytes: bytes, ..Charge::default() }).is_ok() {
            self.keep(name, manifest)?;
            self.kept += 1;
        }
        Ok(())
    }

    fn keep(&self, name: &Name, manifest: &ManifestBytes) -> rusqlite::Result<()> {
        let connection = self.terms.connection;
        let (digest, media_type) = (manifest.digest(), manifest.media_type());
        store::insert_manifest(connection, name, &digest, media_type, manifest.bytes(), self.terms.now)?;
        for child in manifest.children() {
            store::insert_named(connection, name, child)?;
        }
        Ok(())
    }

    /// Appends a further leaf of a key that the map holds.
    fn change(
        &mut self,
        key: TagKey,
        leaf: &Leaf,
        had_tag: bool,
        manifest: Option<(&Name, &ManifestBytes)>,
    ) -> Result<Appended, Failure> {
        let index = self.tip.frontier.size();
        let row = TagRow { index, first: index, had_tag };
        if !store::update_tag(self.terms.connection, &key, row)? {
            return Err(corrupt("the row of a recorded tag").into());
        }
        store::insert_change(self.terms.connection, &key, index)?;
        let record = self.append_record(key, leaf)?;
        if let Some((name, manifest)) = manifest {
            self.keep(name, manifest)?;
        }
        Ok(Appended::Recorded(record))
    }

    fn append_record(&mut self, key: TagKey, leaf: &Leaf) -> Result<Arc<Recorded>, Failure> {
        let bytes = leaf.to_bytes();
        let (index, hash) = (self.tip.frontier.size(), leaf_hash(&bytes));
        self.append(&bytes)?;
        self.tip.map.insert(key, MapValue { index, leaf_hash: hash });
        let entry = Entry { index, leaf_hash: hash, bytes: Bytes::from(bytes), leaf: leaf.clone() };
        let record = Recorded::of(entry).ok_or_else(|| corrupt("a leaf of a kind without a record"))?;
        self.tip.last_time = record.time();
        let record = Arc::new(record);
        self.fresh.insert(key, Arc::clone(&record));
        Ok(record)
    }

    fn append(&mut self, leaf: &[u8]) -> rusqlite::Result<()> {
        store::insert_entry(self.terms.connection, self.tip.frontier.size(), leaf)?;
        let hash = leaf_hash(leaf);
        self.tip.frontier.push(hash);
        self.tip.edge.push(hash, &mut self.full);
        self.leaves += 1;
        Ok(())
    }

    /// The current record of `key`, this batch included.
    fn current(&self, key: &TagKey) -> Result<Option<Arc<Recorded>>, Error> {
        if let Some(record) = self.fresh.get(key) {
            return Ok(Some(Arc::clone(record)));
        }
        let Some(value) = self.tip.map.get(key) else { return Ok(None) };
        let read = |index| store::entry(self.terms.connection, index);
        lookup::record(key, &value, self.terms.cache, read).map(Some)
    }

    fn row(&self, key: &TagKey) -> Result<TagRow, Error> {
        store::tag(self.terms.connection, key)?.ok_or_else(|| corrupt("the row of a recorded tag"))
    }

    /// The time of the next leaf (rule T), if the clock can be right.
    fn time(&mut self, upstream_date: Option<i64>) -> Result<u64, ClockError> {
        let (now, last) = (self.terms.now, self.tip.last_time);
        check_clock(now, last)?;
        if let Some(upstream) = upstream_date {
            let agrees = i64::try_from(now).is_ok_and(|now| now.abs_diff(upstream) <= DAY);
            self.clock_agrees = Some(agrees);
            if !agrees {
                return Err(ClockError::FarFromUpstream { now, upstream });
            }
        }
        Ok(now.max(last))
    }

    fn room(&self) -> Result<(), AppendError> {
        let (free, min_free) = (self.terms.free, self.terms.limits.min_free);
        if free < min_free { Err(AppendError::DiskFull { free, min_free }) } else { Ok(()) }
    }

    fn operator(&self) -> Result<(), AppendError> {
        match self.terms.supersede {
            SupersedeRule::Operator => Ok(()),
            SupersedeRule::Never => Err(AppendError::Forbidden),
        }
    }

    fn charge(&mut self, charge: Charge) -> Result<(), AppendError> {
        let now = self.terms.now;
        let limits = self.terms.limits;
        if let Err(budget) = self.spent.charge(limits, now, &charge) {
            let limit = match budget {
                Budget::Client => limits.new_records_per_client_per_day,
                Budget::Upstream => limits.new_records_per_upstream_per_day,
                Budget::ManifestBytes => limits.manifest_bytes_per_day,
                Budget::Moved => limits.moved_per_tag_per_day,
                Budget::Seen => limits.seen_per_tag_per_day,
            };
            let retry_after = std::time::Duration::from_secs(seconds_until_tomorrow(now));
            return Err(AppendError::Budget { budget, limit, retry_after });
        }
        self.charges.push(charge);
        Ok(())
    }

    fn uncharge(&mut self) {
        if let Some(charge) = self.charges.pop() {
            self.spent.refund(&charge);
        }
    }
}

/// Whether a clock that reads `now` can be right when the last leaf was recorded at `last`.
pub(crate) fn check_clock(now: u64, last: u64) -> Result<(), ClockError> {
    if now.saturating_add(BEHIND) < last {
        return Err(ClockError::Behind { now, last });
    }
    if now > LAST_TIME {
        return Err(ClockError::Beyond { now });
    }
    Ok(())
}

fn leaf_of(name: &Name, tag: &Tag, manifest: &ManifestBytes, time: u64) -> Record {
    Record {
        name: name.clone(),
        tag: tag.clone(),
        digest: manifest.digest(),
        time,
        media_type: manifest.media_type(),
        size: manifest.bytes().len() as u64,
    }
}
