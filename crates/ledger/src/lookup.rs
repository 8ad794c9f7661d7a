//! From a key to its current record: the map says which leaf and which hash, the leaf is read, hashed and compared.
//! Nothing read back is believed before that. It must not know how records are made.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use taglog::{Leaf, MapValue, TagKey};
use tlog::{Hash, leaf_hash};

use crate::cache::Cache;
use crate::error::Error;
use crate::record::{Entry, Recorded};
use crate::store::{self, corrupt};

/// Records kept in memory.
pub(crate) type RecordCache = Cache<TagKey, Arc<Recorded>>;

/// Records, each below a kilobyte, that the cache holds.
pub(crate) const CACHED_RECORDS: usize = 32_768;

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
    if let Some(record) = cache.get(key)
        && record.index() == value.index
        && record.leaf_hash() == value.leaf_hash
    {
        return Ok(record);
    }
    let entry = believe(value.index, read(value.index)?, &value.leaf_hash)?;
    let record = Recorded::of(entry).filter(|record| record.key() == key);
    let record = Arc::new(record.ok_or_else(|| corrupt(format!("leaf {}", value.index)))?);
    cache.insert(*key, Arc::clone(&record), 1);
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
