//! What readers and the writer share: the newest state and what of it is published, the caches, the read connections,
//! the lock on the directory. It must not know how batches are made.

use std::path::PathBuf;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use taglog::{SupersedeRule, TagKey};
use tlog::VerifierKey;
use tokio::sync::watch;

use crate::batch::check_clock;
use crate::clock::Clock;
use crate::disk::FreeSpace;
use crate::error::{Error, ReadOnly};
use crate::health::Health;
use crate::keys::Keys;
use crate::lock::DirectoryLock;
use crate::lookup::{self, RecordCache};
use crate::manifests::Manifests;
use crate::published::{Published, Signed};
use crate::randomness::Randomness;
use crate::readers::Readers;
use crate::record::Recorded;
use crate::statistics::Counters;
use crate::store;
use crate::view::View;

/// One open ledger, without its writer.
pub(crate) struct Shared {
    pub(crate) data_dir: PathBuf,
    pub(crate) guard_path: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) supersede: SupersedeRule,
    /// Why nothing is recorded: found at the start, or because the log was closed since.
    pub(crate) read_only: OnceLock<ReadOnly>,
    /// A rollback that a witness reported; it outweighs every other reason.
    pub(crate) rolled_back: OnceLock<ReadOnly>,
    /// Nothing is signed until somebody says that no witness has seen a longer log.
    pub(crate) held: AtomicBool,
    /// The newest durable and guarded state.
    pub(crate) newest: ArcSwap<Signed>,
    /// What is served; nothing while the policy is not satisfied for the first time.
    pub(crate) published: ArcSwapOption<Published>,
    /// Whether every checkpoint is published as soon as it is durable.
    pub(crate) immediate: bool,
    /// The newest checkpoints that satisfy the policies of witnesses and of auditors, where there are such policies.
    pub(crate) cosigned: Option<View>,
    pub(crate) audited: Option<View>,
    /// Everybody whose cosignatures are collected.
    pub(crate) cosigners: Vec<VerifierKey>,
    /// Held while `published` is swapped, so that it never goes back.
    pub(crate) publishing: Mutex<()>,
    /// Held while views are reconsidered, one checkpoint at a time.
    pub(crate) considering: Mutex<()>,
    /// The newest state, for whoever feeds witnesses.
    pub(crate) signed: watch::Sender<Arc<Signed>>,
    /// Size of the published checkpoint, for whoever waits for one; 0 for none.
    pub(crate) published_size: watch::Sender<u64>,
    pub(crate) randomness: Randomness,
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
    pub(crate) fn published(&self) -> Result<Arc<Published>, Error> {
        self.published.load_full().ok_or(Error::NothingPublished)
    }

    pub(crate) fn read_only(&self) -> Option<&ReadOnly> {
        self.rolled_back.get().or_else(|| self.read_only.get())
    }

    /// The current record of `key` at the durable head.
    pub(crate) fn record(&self, key: &TagKey) -> Result<Option<Arc<Recorded>>, Error> {
        let newest = self.newest.load();
        if let Some(record) = self.records.current(key, newest.size) {
            return Ok(Some(record));
        }
        let Some(value) = newest.map.get(key) else { return Ok(None) };
        let read = |index| self.readers.with(|connection| store::entry(connection, index));
        let record = self.alarmed(lookup::record(key, &value, &self.records, read))?;
        self.records.confirm(&record, newest.size);
        Ok(Some(record))
    }

    /// After a rollback a proof would deny what was recorded since.
    pub(crate) fn can_prove(&self) -> Result<(), Error> {
        match self.read_only().filter(|read_only| read_only.is_rollback()) {
            Some(read_only) => Err(read_only.clone().into()),
            None => Ok(()),
        }
    }

    /// Whether absence can be proved: not before the witnesses have said that nothing is missing here.
    pub(crate) fn can_deny(&self) -> Result<(), Error> {
        if self.held.load(Acquire) { Err(Error::Held) } else { Ok(()) }
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
        let published = self.published.load();
        let newest = self.newest.load();
        let verifies =
            |published: &Published| self.keys.signed(&published.note, published.size, published.root);
        let free = self.free_space.of(&self.data_dir).unwrap_or(u64::MAX);
        Health {
            size: published.as_ref().map_or(0, |published| published.size),
            newest: newest.size,
            checkpoint_verifies: published.as_deref().is_some_and(verifies),
            read_only: self.read_only().cloned(),
            held: self.held.load(Acquire),
            stopped: self.stopped.load(Acquire),
            failing: self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            clock: check_clock(self.clock.now(), newest.time).err(),
            clock_agrees_with_upstream: self.clock_agrees.load(Acquire),
            disk_too_full: (free < self.min_free).then_some(free),
        }
    }
}
