//! Manifests kept with their records: served only under the name they were fetched for, hashed whenever they are loaded.
//! It must not know which manifests are wanted; `batch` keeps them.

use std::sync::Arc;

use bytes::Bytes;
use oci::{ManifestType, Name, Sha256Digest};

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

/// Bytes that a manifest in memory takes, as a rule.
const TYPICAL: usize = 2048;
/// What it takes besides its bytes.
const AROUND: usize = 384;

/// The kept manifests, the most used ones in memory.
pub(crate) struct Manifests {
    cache: Cache<Key, Arc<StoredManifest>>,
}

/// A manifest is served only under a name it was fetched for, so the name is part of its key.
#[derive(Hash, PartialEq)]
struct Key {
    digest: Sha256Digest,
    name: Name,
}

/// A key that is only asked for.
#[derive(Hash)]
struct Asked<'a> {
    digest: &'a Sha256Digest,
    name: &'a Name,
}

impl PartialEq<Key> for Asked<'_> {
    fn eq(&self, key: &Key) -> bool {
        *self.digest == key.digest && *self.name == key.name
    }
}

impl Manifests {
    /// Keeps up to `capacity` bytes in memory.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { cache: Cache::new(capacity, TYPICAL) }
    }

    /// The manifest `digest`, if it was fetched under `name`.
    pub(crate) fn find(
        &self,
        readers: &Readers,
        name: &Name,
        digest: &Sha256Digest,
    ) -> Result<Option<Arc<StoredManifest>>, Error> {
        if let Some(manifest) = self.cache.look(&Asked { digest, name }, Arc::clone) {
            return Ok(Some(manifest));
        }
        let Some(row) = readers.with(|connection| store::manifest(connection, name, digest))? else {
            return Ok(None);
        };
        if Sha256Digest::of(&row.bytes) != *digest {
            return Err(corrupt(format!("the manifest `{digest}`")));
        }
        let weight = row.bytes.len() + AROUND;
        let manifest =
            StoredManifest { digest: *digest, media_type: row.media_type, bytes: Bytes::from(row.bytes) };
        let manifest = Arc::new(manifest);
        self.cache.insert(Key { digest: *digest, name: name.clone() }, Arc::clone(&manifest), weight);
        Ok(Some(manifest))
    }

    /// Whether `digest` is named by an index kept under `name` and not kept itself. What was fetched once stays fetched,
    /// so a manifest in memory settles it.
    pub(crate) fn wants(&self, readers: &Readers, name: &Name, digest: &Sha256Digest) -> Result<bool, Error> {
        if self.cache.look(&Asked { digest, name }, |_| ()).is_some() {
            return Ok(false);
        }
        Ok(readers.with(|connection| store::standing(connection, name, digest))? == Standing::Named)
    }
}
