//! Manifests kept with their records: served only under the name they were fetched for, hashed whenever they are loaded.
//! It must not know which manifests are wanted; `batch` keeps them.

use std::sync::Arc;

use bytes::Bytes;
use oci::{ManifestType, Name, Sha256Digest};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::error::Error;
use crate::readers::Readers;
use crate::store::{self, Standing, corrupt};

/// A kept manifest whose bytes hash to its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// SHA-256 of `bytes`.
    pub digest: Sha256Digest,
    /// Its media type.
    pub media_type: ManifestType,
    /// Exactly what upstream served.
    pub bytes: Bytes,
}

/// The kept manifests, the most used ones in memory.
#[derive(Debug)]
pub(crate) struct Manifests {
    cache: Cache<[u8; 64], Arc<StoredManifest>>,
}

impl Manifests {
    /// Keeps up to `capacity` bytes in memory.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { cache: Cache::new(capacity) }
    }

    /// The manifest `digest`, if it was fetched under `name`.
    pub(crate) fn find(
        &self,
        readers: &Readers,
        name: &Name,
        digest: &Sha256Digest,
    ) -> Result<Option<Arc<StoredManifest>>, Error> {
        let key = cache_key(name, digest);
        if let Some(manifest) = self.cache.get(&key) {
            return Ok(Some(manifest));
        }
        let Some(row) = readers.with(|connection| store::manifest(connection, name, digest))? else {
            return Ok(None);
        };
        if Sha256Digest::of(&row.bytes) != *digest {
            return Err(corrupt(format!("the manifest `{digest}`")));
        }
        let weight = row.bytes.len() + 256;
        let manifest =
            StoredManifest { digest: *digest, media_type: row.media_type, bytes: Bytes::from(row.bytes) };
        let manifest = Arc::new(manifest);
        self.cache.insert(key, Arc::clone(&manifest), weight);
        Ok(Some(manifest))
    }

    /// Whether `digest` is named by an index kept under `name` and not kept itself. What was fetched once stays fetched,
    /// so a manifest in memory settles it.
    pub(crate) fn wants(&self, readers: &Readers, name: &Name, digest: &Sha256Digest) -> Result<bool, Error> {
        if self.cache.get(&cache_key(name, digest)).is_some() {
            return Ok(false);
        }
        Ok(readers.with(|connection| store::standing(connection, name, digest))? == Standing::Named)
    }
}

fn cache_key(name: &Name, digest: &Sha256Digest) -> [u8; 64] {
    let mut key = [0; 64];
    let (left, right) = key.split_at_mut(32);
    left.copy_from_slice(&Sha256::digest(name.as_str()));
    right.copy_from_slice(digest.as_bytes());
    key
}
