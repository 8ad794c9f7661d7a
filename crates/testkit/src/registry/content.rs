//! What the fake holds: manifests, tags, blobs and files. Knows nothing of HTTP.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::digest::{sha256_digest, sha512_digest};

/// Bytes with the media type under which they were pushed.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) bytes: Bytes,
    pub(super) media_type: String,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    manifests: BTreeMap<String, Stored>,
    tags: BTreeMap<String, String>,
    blobs: BTreeMap<String, Bytes>,
}

#[derive(Debug, Default)]
pub(super) struct Content {
    repositories: BTreeMap<String, Repository>,
    files: BTreeMap<String, Stored>,
}

impl Content {
    pub(super) fn push_manifest(&mut self, repository: &str, bytes: Bytes, media_type: &str) -> String {
        let digest = sha256_digest(&bytes);
        let stored = Stored { bytes, media_type: media_type.to_owned() };
        self.repository(repository).manifests.insert(digest.clone(), stored);
        digest
    }

    pub(super) fn push_blob(&mut self, repository: &str, bytes: Bytes) -> String {
        let digest = sha256_digest(&bytes);
        self.repository(repository).blobs.insert(digest.clone(), bytes);
        digest
    }

    pub(super) fn push_file(&mut self, path: &str, bytes: Bytes, media_type: &str) {
        self.files.insert(path.to_owned(), Stored { bytes, media_type: media_type.to_owned() });
    }

    pub(super) fn tag(&mut self, repository: &str, tag: &str, digest: &str) {
        self.repository(repository).tags.insert(tag.to_owned(), digest.to_owned());
    }

    pub(super) fn delete_tag(&mut self, repository: &str, tag: &str) {
        self.repository(repository).tags.remove(tag);
    }

    /// Takes away manifests and blobs of this digest; tags that point there dangle.
    pub(super) fn delete(&mut self, repository: &str, digest: &str) {
        let repository = self.repository(repository);
        repository.manifests.remove(digest);
        repository.blobs.remove(digest);
    }

    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<&Stored> {
        let repository = self.repositories.get(repository)?;
        let digest = repository.tags.get(reference).map_or(reference, String::as_str);
        repository
            .manifests
            .get(digest)
            .or_else(|| repository.manifests.values().find(|stored| sha512_digest(&stored.bytes) == digest))
    }

    /// The child for linux/amd64 of an index.
    pub(super) fn amd64_child(&self, repository: &str, index: &Stored) -> Option<&Stored> {
        let index: Value = serde_json::from_slice(&index.bytes).ok()?;
        let child =
            index.get("manifests")?.as_array()?.iter().find(|child| {
                child.pointer("/platform/architecture").and_then(Value::as_str) == Some("amd64")
            })?;
        self.manifest(repository, child.get("digest")?.as_str()?)
    }

    /// All manifests of a repository, by digest.
    pub(super) fn manifests(&self, repository: &str) -> impl Iterator<Item = (&String, &Stored)> {
        self.repositories.get(repository).into_iter().flat_map(|repository| &repository.manifests)
    }

    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<&Bytes> {
        let repository = self.repositories.get(repository)?;
        repository
            .blobs
            .get(digest)
            .or_else(|| repository.blobs.values().find(|bytes| sha512_digest(bytes) == digest))
    }

    /// A file pushed under this path, or anything in any repository with this digest: what a CDN has.
    pub(super) fn file(&self, path: &str) -> Option<Stored> {
        self.files.get(path).cloned().or_else(|| {
            self.repositories.values().find_map(|repository| {
                let manifest = repository.manifests.get(path).cloned();
                manifest.or_else(|| {
                    let media_type = "application/octet-stream".to_owned();
                    repository.blobs.get(path).map(|bytes| Stored { bytes: bytes.clone(), media_type })
                })
            })
        })
    }

    /// The tags of a repository, sorted; `None` when nothing was ever pushed there.
    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        Some(self.repositories.get(repository)?.tags.keys().cloned().collect())
    }

    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}
