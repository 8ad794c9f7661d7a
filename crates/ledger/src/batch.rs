//! One batch: writes the rows of what was decided inside the open transaction, leaf by leaf, and ends it with its index
//! leaf. It must not know threads, COMMIT or who waits.

mod decisions;
mod pending;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use oci::Name;
use rusqlite::Connection;
use taglog::{Leaf, MapValue, SupersedeRule, TagKey, TagMap};
use tlog::{Frontier, Hash, leaf_hash};

use crate::budgets::{Budget, Budgets, Charge, Spent, seconds_until_tomorrow};
use crate::cosignatures::Cosignature;
use crate::edge::{Edge, FullTile};
use crate::error::{AppendError, ClockError, Error, ReadOnly};
use crate::evidence::{Evidence, MAX_EVIDENCE};
use crate::lookup::{self, RecordCache};
use crate::record::{Entry, Recorded};
use crate::signer::Signer;
use crate::store::{self, CheckpointRow, Kept, TagRow, corrupt};
use crate::submission::{Appended, ManifestBytes, NotRecorded, Submission};

/// Seconds that the clock may be behind the last leaf.
const BEHIND: u64 = 300;
/// Seconds that the clock may be away from an upstream's `Date`.
const DAY: u64 = 86_400;
/// The largest time a leaf can say.
const LAST_TIME: u64 = 9_999_999_999;
/// Checkpoints whose cosignatures are kept; at one in ten seconds, those of a day.
const COSIGNED_CHECKPOINTS: u32 = 8192;

/// What a batch is made of.
#[derive(Debug)]
pub(crate) enum Work {
    /// Something to record.
    Submission(Submission),
    /// A leaf of any bytes, answered as evidence is: with its index.
    #[cfg(feature = "rawlog")]
    Raw(Bytes),
    /// Cosignatures of a tree that the log has had; they have been verified.
    Cosignatures { size: u64, root: Hash, cosignatures: Vec<Cosignature> },
}

/// The end of the log that the next batch is appended to. A clone costs a few kilobytes.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) frontier: Frontier,
    pub(crate) edge: Edge,
    pub(crate) map: TagMap,
    /// Unix seconds of the last leaf that has a time; 0 for none.
    pub(crate) last_time: u64,
    /// The last leaf but its index is a `close`.
    pub(crate) closed: bool,
}

/// What a batch is decided against, besides the tip.
pub(crate) struct Terms<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) cache: &'a RecordCache,
    pub(crate) signer: &'a Signer,
    /// Checkpoints below this size need no cosignatures any more, but for these two.
    pub(crate) cosigned_from: (u64, [u64; 2]),
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
    /// Manifests and checkpoints it keeps without a leaf.
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

    /// Decides one piece of work and writes its rows. `Err` in the outer result ends the batch.
    pub(crate) fn take(&mut self, work: &Work) -> Result<Result<Appended, AppendError>, rusqlite::Error> {
        let decided = match work {
            Work::Submission(submission) => self.submit(submission),
            #[cfg(feature = "rawlog")]
            Work::Raw(leaf) => {
                let index = self.tip.frontier.size();
                self.append(leaf).map(|()| Appended::Evidence { index }).map_err(Failure::from)
            }
            Work::Cosignatures { size, root, cosignatures } => self.cosign(*size, *root, cosignatures),
        };
        match decided {
            Ok(appended) => Ok(Ok(appended)),
            Err(Failure::One(error)) => Ok(Err(error)),
            Err(Failure::Batch(error)) => Err(error),
        }
    }

    fn submit(&mut self, submission: &Submission) -> Result<Appended, Failure> {
        if self.tip.closed && !submission.suits_a_closed_log() {
            return Err(AppendError::from(ReadOnly::Closed).into());
        }
        match submission {
            Submission::Record(observation) => self.record(observation, false),
            Submission::Moved { name, tag, recorded, seen, upstream_date } => {
                self.moved(name, tag, recorded, seen, *upstream_date)
            }
            Submission::Supersede { name, tag, old, manifest, reason } => {
                self.supersede(name, tag, old, manifest, reason)
            }
            Submission::Thaw { name, tag, digest, reason } => self.thaw(name, tag, digest, reason),
            Submission::Close { reason } => self.close(reason),
            Submission::KeepManifest { name, manifest } => self.keep_passing(name, manifest),
            Submission::Evidenced { submission, evidence } => self.evidenced(submission, evidence),
            Submission::Anchored { index, evidence } => self.anchored(*index, evidence),
            Submission::Pend { submission, prepared, replaces } => {
                self.pend(submission, prepared, replaces.as_deref())
            }
        }
    }

    /// Keeps cosignatures with the checkpoint that they are of, signed as it was: the same tree has one signature.
    fn cosign(&mut self, size: u64, root: Hash, cosignatures: &[Cosignature]) -> Result<Appended, Failure> {
        let connection = self.terms.connection;
        let note = self.terms.signer.note(size, root)?;
        store::insert_checkpoint(connection, &CheckpointRow { size, root, note })?;
        let mut newer = false;
        for cosignature in cosignatures {
            let line = cosignature.line.to_string();
            newer |= store::insert_cosignature(
                connection,
                size,
                &cosignature.cosigner(),
                cosignature.time,
                &line,
            )?;
        }
        // Lines are public: whoever sends one again must not cost a COMMIT.
        if !newer {
            return Ok(Appended::Kept);
        }
        let (from, kept) = self.terms.cosigned_from;
        store::prune_checkpoints(connection, from, COSIGNED_CHECKPOINTS, kept)?;
        self.kept += 1;
        Ok(Appended::Kept)
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

    /// Decides the submission; a record that it makes gets the document.
    fn evidenced(&mut self, submission: &Submission, evidence: &Evidence) -> Result<Appended, Failure> {
        if evidence.document.len() > MAX_EVIDENCE {
            return Err(AppendError::EvidenceTooLarge.into());
        }
        let appended = match submission {
            Submission::Record(observation) => self.record(observation, true)?,
            other => self.submit(other)?,
        };
        if let Appended::Recorded(record) = &appended {
            store::insert_evidence(self.terms.connection, record.index(), evidence)?;
        }
        Ok(appended)
    }

    /// Keeps what was logged elsewhere about a checkpoint with its last leaf, which has nothing else.
    fn anchored(&mut self, index: u64, evidence: &Evidence) -> Result<Appended, Failure> {
        if evidence.document.len() > MAX_EVIDENCE {
            return Err(AppendError::EvidenceTooLarge.into());
        }
        let entry = store::entry(self.terms.connection, index)?;
        if !entry.is_some_and(|bytes| matches!(Leaf::parse(&bytes), Ok(Leaf::Index { .. }))) {
            return Ok(Appended::NotRecorded(NotRecorded::NotWanted));
        }
        self.room()?;
        store::insert_evidence(self.terms.connection, index, evidence)?;
        self.kept += 1;
        Ok(Appended::Kept)
    }

    /// Keeps a manifest that the leaf at `index` records; without one, what was noted of it stays.
    fn keep(&self, name: &Name, manifest: &ManifestBytes, index: Option<u64>) -> rusqlite::Result<()> {
        let kept = Kept {
            name,
            digest: &manifest.digest(),
            media_type: manifest.media_type(),
            bytes: manifest.bytes(),
            children: manifest.children(),
        };
        store::insert_manifest(self.terms.connection, &kept, index, self.terms.now)
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
            self.keep(name, manifest, Some(index))?;
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
    ///
    /// Only an upstream that is `trusted` can make the ledger unready: any other one is of a client's choice, and would
    /// take the whole service out of its load balancer with a wrong `Date`.
    fn time(&mut self, upstream_date: Option<i64>, trusted: bool) -> Result<u64, ClockError> {
        let (now, last) = (self.terms.now, self.tip.last_time);
        check_clock(now, last)?;
        if let Some(upstream) = upstream_date {
            let agrees = i64::try_from(now).is_ok_and(|now| now.abs_diff(upstream) <= DAY);
            if trusted {
                self.clock_agrees = Some(agrees);
            }
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
