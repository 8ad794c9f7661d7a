//! What readers and the writer share: the published head, the caches, the read connections, the lock on the directory.
//! It must not know how batches are made.

use std::path::PathBuf;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use taglog::{SupersedeRule, TagKey};
use tlog::{SignedCheckpoint, VerifierKey};

use crate::batch::check_clock;
use crate::clock::Clock;
use crate::disk::FreeSpace;
use crate::error::{Error, ReadOnly};
use crate::health::Health;
use crate::lock::DirectoryLock;
use crate::lookup::{self, RecordCache};
use crate::manifests::Manifests;
use crate::published::{Head, Published};
use crate::readers::Readers;
use crate::record::Recorded;
use crate::statistics::Counters;
use crate::store;

/// One open ledger, without its writer.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) data_dir: PathBuf,
    pub(crate) guard_path: PathBuf,
    pub(crate) verifier: VerifierKey,
    pub(crate) supersede: SupersedeRule,
    pub(crate) read_only: Option<ReadOnly>,
    pub(crate) head: ArcSwap<Head>,
    pub(crate) records: RecordCache,
    pub(crate) manifests: Manifests,
    pub(crate) readers: Readers,
    pub(crate) clock: Clock,
    pub(crate) free_space: FreeSpace,
    pub(crate) min_free: u64,
    /// Submissions begun and not yet answered.
    pub(crate) on_their_way: Arc<AtomicUsize>,
    pub(crate) counters: Counters,
    pub(crate) clock_agrees: AtomicBool,
    pub(crate) stopped: AtomicBool,
    pub(crate) failing: Mutex<Option<Arc<Error>>>,
    /// Held until the last reader and the writer are gone.
    pub(crate) _lock: DirectoryLock,
}

impl Shared {
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.head.load().published)
    }

    /// After a rollback a proof would deny what was recorded since.
    pub(crate) fn can_prove(&self) -> Result<(), Error> {
        match self.read_only.as_ref().filter(|read_only| read_only.is_rollback()) {
            Some(read_only) => Err(read_only.clone().into()),
            None => Ok(()),
        }
    }

    /// The current record of `key` at the durable head.
    pub(crate) fn record(&self, key: &TagKey) -> Result<Option<Arc<Recorded>>, Error> {
        let head = self.head.load();
        let size = head.published.size;
        if let Some(record) = self.records.current(key, size) {
            return Ok(Some(record));
        }
        let Some(value) = head.map.get(key) else { return Ok(None) };
        let read = |index| self.readers.with(|connection| store::entry(connection, index));
        let record = self.alarmed(lookup::record(key, &value, &self.records, read))?;
        self.records.confirm(&record, size);
        Ok(Some(record))
    }

    /// Counts and logs what cannot be believed; the answer stays an error, never absence.
    pub(crate) fn alarmed<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        if let Err(error @ Error::Corrupt { .. }) = &read {
            self.counters.corrupt_reads.fetch_add(1, Relaxed);
            tracing::error!(%error, "the database holds something else than the log committed to");
        }
        read
    }

    pub(crate) fn failing(&self, error: Option<Arc<Error>>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    pub(crate) fn health(&self) -> Health {
        let published = self.published();
        let checkpoint_verifies = published.note.parse::<SignedCheckpoint>().is_ok_and(|signed| {
            signed.verify(&self.verifier).is_ok_and(|checkpoint| {
                (checkpoint.size, checkpoint.root) == (published.size, published.root)
            })
        });
        let free = self.free_space.of(&self.data_dir).unwrap_or(u64::MAX);
        Health {
            size: published.size,
            checkpoint_verifies,
            read_only: self.read_only.clone(),
            stopped: self.stopped.load(Acquire),
            failing: self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            clock: check_clock(self.clock.now(), published.time).err(),
            clock_agrees_with_upstream: self.clock_agrees.load(Acquire),
            disk_too_full: (free < self.min_free).then_some(free),
        }
    }
}
