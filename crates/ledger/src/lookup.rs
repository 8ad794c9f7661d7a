//! From a key to its current record: the map says which leaf and which hash, the leaf is read, hashed and compared.
//! Nothing read back is believed before that. It must not know how records are made.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use rusqlite::Connection;
use taglog::{Leaf, MapValue, TagKey};
use tlog::{Hash, leaf_hash};

use crate::cache::Cache;
use crate::error::Error;
use crate::record::{Entry, Recorded};
use crate::store::{self, corrupt};

/// Records, each below a kilobyte, that are kept in memory.
const CACHED_RECORDS: usize = 32_768;

/// Records kept in memory.
pub(crate) struct RecordCache(Cache<TagKey, Known>);

struct Known {
    record: Arc<Recorded>,
    /// Size of the newest tree whose map was seen to hold this record; 0 for none. No two trees of a log have one size.
    current_at: AtomicU64,
}

impl RecordCache {
    pub(crate) fn new() -> Self {
        Self(Cache::new(CACHED_RECORDS, 1))
    }

    /// The record of `key`, if it is known to be the current one of the tree of `size`.
    pub(crate) fn current(&self, key: &TagKey, size: u64) -> Option<Arc<Recorded>> {
        let known =
            |known: &Known| (known.current_at.load(Relaxed) == size).then(|| Arc::clone(&known.record));
        self.0.look(key, known).flatten()
    }

    /// Remembers that the map of the tree of `size` holds `record`.
    pub(crate) fn confirm(&self, record: &Arc<Recorded>, size: u64) {
        self.0.look(record.key(), |known| {
            if Arc::ptr_eq(&known.record, record) {
                known.current_at.store(size, Relaxed);
            }
        });
    }

    pub(crate) fn insert(&self, record: Arc<Recorded>) {
        self.0.insert(*record.key(), Known { record, current_at: AtomicU64::new(0) }, 1);
    }

    fn of(&self, key: &TagKey, value: &MapValue) -> Option<Arc<Recorded>> {
        let fits = |record: &Recorded| record.index() == value.index && record.leaf_hash() == value.leaf_hash;
        self.0.look(key, |known| fits(&known.record).then(|| Arc::clone(&known.record))).flatten()
    }
}

/// The record that `value` of the map points to, from the cache or the database.
///
/// # Errors
/// A leaf that is missing, has another hash, or speaks of another key is `Corrupt`, never absence.
pub(crate) fn record(
    key: &TagKey,
    value: &MapValue,
    cache: &RecordCache,
    read: impl FnOnce(u64) -> Result<Option<Vec<u8>>, Error>,
) -> Result<Arc<Recorded>, Error> {
    if let Some(record) = cache.of(key, value) {
        return Ok(record);
    }
    let entry = believe(value.index, read(value.index)?, &value.leaf_hash)?;
    let record = Recorded::of(entry).filter(|record| record.key() == key);
    let record = Arc::new(record.ok_or_else(|| corrupt(format!("leaf {}", value.index)))?);
    cache.insert(Arc::clone(&record));
    Ok(record)
}

/// The leaf at `index`, whose hash must be `expected`.
pub(crate) fn entry(connection: &Connection, index: u64, expected: &Hash) -> Result<Entry, Error> {
    believe(index, store::entry(connection, index)?, expected)
}

fn believe(index: u64, bytes: Option<Vec<u8>>, expected: &Hash) -> Result<Entry, Error> {
    let wrong = || corrupt(format!("leaf {index}"));
    let bytes = bytes.ok_or_else(wrong)?;
    let hash = leaf_hash(&bytes);
    if hash != *expected {
        return Err(wrong());
    }
    let leaf = Leaf::parse(&bytes).map_err(|_| wrong())?;
    Ok(Entry { index, leaf_hash: hash, bytes: Bytes::from(bytes), leaf })
}
