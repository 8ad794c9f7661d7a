//! Reading an open ledger: records, manifests, tiles, proofs. None of it waits for the writer.
//! It must not know what a reader does with it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Name, Sha256Digest, TagName};
use taglog::TagKey;
use tlog::{EntriesId, TileId};

use crate::error::Error;
use crate::export::{self, ExportError, Exported, Source};
use crate::ledger::Ledger;
use crate::manifests::StoredManifest;
use crate::proof;
use crate::published::Published;
use crate::record::{Entry, Recorded};
use crate::store;
use crate::tiles;

impl Ledger {
    /// The current record of `key`, durable and in the map of the head; `None` if it was never recorded.
    ///
    /// # Errors
    /// A leaf that is not what the map says is [`Error::Corrupt`], never absence.
    pub fn lookup(&self, key: &TagKey) -> Result<Option<Arc<Recorded>>, Error> {
        self.shared().record(key)
    }

    /// Whether the key has had a `tag` leaf, so that no other can ever follow (rule U): an observed tag of which this is
    /// so was thawed, and only `supersede` freezes it again. Reads the database.
    ///
    /// # Errors
    /// As [`Ledger::lookup`].
    pub fn was_frozen(&self, key: &TagKey) -> Result<bool, Error> {
        let row = self.shared().readers.with(|connection| store::tag(connection, key))?;
        Ok(row.is_some_and(|row| row.had_tag))
    }

    /// The kept manifest `digest`, if it was fetched under `name`. Its bytes have been hashed.
    ///
    /// # Errors
    /// Bytes that hash to something else are [`Error::Corrupt`].
    pub fn manifest(&self, name: &Name, digest: &Sha256Digest) -> Result<Option<Arc<StoredManifest>>, Error> {
        let shared = self.shared();
        shared.alarmed(shared.manifests.find(&shared.readers, name, digest))
    }

    /// Whether an index kept under `name` names `digest` and its bytes are not kept yet, so that
    /// [`Submission::KeepManifest`](crate::Submission::KeepManifest) would keep them. A manifest that
    /// [`Ledger::manifest`] has in memory costs no read.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn wants_manifest(&self, name: &Name, digest: &Sha256Digest) -> Result<bool, Error> {
        let shared = self.shared();
        shared.manifests.wants(&shared.readers, name, digest)
    }

    /// The published checkpoint and the state of the log at its size.
    ///
    /// # Errors
    /// [`Error::NothingPublished`] while no checkpoint has satisfied a policy that demands cosignatures.
    pub fn published(&self) -> Result<Arc<Published>, Error> {
        self.shared().published()
    }

    /// The bytes of a tile, any width that the published tree has had; `None` for one it does not have.
    ///
    /// # Errors
    /// A full tile that is not what the level above says is [`Error::Corrupt`]; as [`Ledger::published`].
    pub fn tile(&self, id: TileId) -> Result<Option<Bytes>, Error> {
        let shared = self.shared();
        shared.alarmed(tiles::tile(&shared.published()?.edge, &shared.readers, id))
    }

    /// An entry bundle, any width that the published tree has had; `None` for one it does not have.
    ///
    /// # Errors
    /// A leaf that is not what its tile says is [`Error::Corrupt`]; as [`Ledger::published`].
    pub fn entries(&self, id: EntriesId) -> Result<Option<Bytes>, Error> {
        let shared = self.shared();
        shared.alarmed(tiles::entries(&shared.published()?.edge, &shared.readers, id))
    }

    /// The tag proof, of presence or absence, at the published checkpoint.
    ///
    /// # Errors
    /// [`Error::NotYetPublished`] for a key that is recorded and not covered; [`Error::ReadOnly`] when the store was
    /// rolled back and [`Error::Held`] while that is not known, because then absence would prove nothing.
    pub fn tag_proof(&self, tag: &TagName) -> Result<String, Error> {
        self.tag_proof_at(&*self.published()?, tag)
    }

    /// The tag proof at another checkpoint that is at hand, such as the audited one.
    ///
    /// # Errors
    /// As [`Ledger::tag_proof`].
    pub fn tag_proof_at(&self, published: &Published, tag: &TagName) -> Result<String, Error> {
        let shared = self.shared();
        shared.can_prove()?;
        shared.alarmed(proof::tag_proof(shared, published, tag))
    }

    /// The proof of all recorded tags of `name`, or that it has none, at the published checkpoint. Costs a read for each
    /// tag that is not in memory.
    ///
    /// # Errors
    /// As [`Ledger::tag_proof`]; [`Error::TooManyTags`] beyond [`taglog::MAX_PREFIX_TAGS`].
    pub fn repository_proof(&self, name: &Name) -> Result<String, Error> {
        self.repository_proof_at(&*self.published()?, name)
    }

    /// The proof of all recorded tags of `name` at another checkpoint that is at hand, such as the audited one.
    ///
    /// # Errors
    /// As [`Ledger::repository_proof`].
    pub fn repository_proof_at(&self, published: &Published, name: &Name) -> Result<String, Error> {
        let shared = self.shared();
        shared.can_prove()?;
        shared.alarmed(proof::repository_proof(shared, published, name))
    }

    /// Writes the published log into `directory` as static files, or brings an older export up to date. `progress` is told
    /// how many of how many files are done.
    ///
    /// # Errors
    /// [`ExportError`]; the directory still holds the log it held before.
    pub fn export(&self, directory: &Path, progress: impl FnMut(u64, u64)) -> Result<Exported, ExportError> {
        let shared = self.shared();
        shared.can_prove()?;
        let published = shared.published()?;
        let source = Source {
            note: &published.note,
            root: published.root,
            tree: &published.edge,
            keys: &shared.keys,
            readers: &shared.readers,
        };
        export::write(&source, directory, progress)
    }

    /// The earliest leaf of the published log that recorded `digest` under `name`, or an index that names it; `None` where
    /// there is none, or where it was recorded by a version that did not note it.
    ///
    /// # Errors
    /// A leaf that is not what its tile says is [`Error::Corrupt`]; as [`Ledger::published`].
    pub fn first_recorded(&self, name: &Name, digest: &Sha256Digest) -> Result<Option<Entry>, Error> {
        let shared = self.shared();
        let index = shared.readers.with(|connection| store::first_index(connection, name, digest))?;
        let Some(index) = index else { return Ok(None) };
        let published = shared.published()?;
        if index >= published.size {
            return Ok(None);
        }
        let entry = shared.alarmed(tiles::leaf(&published.edge, &shared.readers, index))?;
        // The row is only a hint: the leaf has to speak of that name.
        Ok(entry.leaf.current().is_some_and(|(of, ..)| of == name).then_some(entry))
    }

    /// The leaf at `index` of the published log; `None` beyond it.
    ///
    /// # Errors
    /// A leaf that is not what its tile says is [`Error::Corrupt`]; as [`Ledger::published`].
    pub fn entry(&self, index: u64) -> Result<Option<Entry>, Error> {
        let shared = self.shared();
        let published = shared.published()?;
        if index >= published.size {
            return Ok(None);
        }
        shared.alarmed(tiles::leaf(&published.edge, &shared.readers, index)).map(Some)
    }

    /// The current record of every tag of `name` in the published log, in no order.
    ///
    /// # Errors
    /// As [`Ledger::repository_proof`].
    pub fn tags(&self, name: &Name) -> Result<Vec<Arc<Recorded>>, Error> {
        let shared = self.shared();
        let published = shared.published()?;
        shared.alarmed(proof::repository(shared, &published, name))
    }

    /// A C2SP tlog-proof that the leaf at `index` is in the published log; the leaf is its `extra`. `None` beyond it.
    ///
    /// # Errors
    /// A leaf or tile that is not what the tree says is [`Error::Corrupt`]; as [`Ledger::published`].
    pub fn entry_proof(&self, index: u64) -> Result<Option<String>, Error> {
        let shared = self.shared();
        shared.can_prove()?;
        let published = shared.published()?;
        if index >= published.size {
            return Ok(None);
        }
        shared.alarmed(proof::entry_proof(shared, &published, index)).map(Some)
    }

    /// Every leaf of `key` in the published log, oldest first; empty for a key that was never recorded.
    ///
    /// # Errors
    /// A leaf that is not what its tile says is [`Error::Corrupt`]; as [`Ledger::published`].
    pub fn history(&self, key: &TagKey) -> Result<Vec<Entry>, Error> {
        let shared = self.shared();
        let published = shared.published()?;
        let row = shared.readers.with(|connection| store::tag(connection, key))?;
        let Some(row) = row else { return Ok(Vec::new()) };
        let changes = shared.readers.with(|connection| store::changes(connection, key))?;
        let indices = std::iter::once(row.first).chain(changes).filter(|index| *index < published.size);
        shared.alarmed(indices.map(|index| tiles::leaf(&published.edge, &shared.readers, index)).collect())
    }
}
