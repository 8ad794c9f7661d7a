//! What was obtained elsewhere about a record, and what was signed for one that is not made yet. Opaque: neither is in the
//! log, and neither is believed when it is read back; whoever asks for it checks it.

use bytes::Bytes;
use oci::Sha256Digest;
use taglog::TagKey;

use crate::error::Error;
use crate::ledger::Ledger;
use crate::store;

/// Bytes of a document.
pub const MAX_EVIDENCE: usize = 1024 * 1024;
/// Bytes of what is needed to go on; whoever reads it back takes no more.
pub const MAX_PREPARED: usize = 64 * 1024;

/// A document about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Hashes by which others ask for it.
    pub ids: Vec<[u8; 32]>,
    /// The document.
    pub document: Bytes,
}

/// A tag that is about to be recorded: while it is, it means this digest and no other, and is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// SHA-256 of the manifest.
    pub digest: Sha256Digest,
    /// What is needed to go on after a restart.
    pub prepared: Bytes,
}

impl Ledger {
    /// What is about to be recorded of `key`.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Corrupt`]
    pub fn pending(&self, key: &TagKey) -> Result<Option<Pending>, Error> {
        self.shared().readers.with(|connection| store::pending(connection, key))
    }

    /// The document about the record in the leaf at `index`.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn evidence(&self, index: u64) -> Result<Option<Bytes>, Error> {
        self.shared().readers.with(|connection| store::evidence(connection, index))
    }

    /// Leaves about whose records there are documents with this id, the newest hundred, newest first.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Corrupt`]
    pub fn evidenced_by(&self, id: &[u8; 32]) -> Result<Vec<u64>, Error> {
        self.shared().readers.with(|connection| store::evidenced_by(connection, id))
    }
}
