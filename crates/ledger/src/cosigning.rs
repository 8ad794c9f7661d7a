//! What a server needs to have its checkpoints cosigned, and to wait until they are: the newest signed checkpoint,
//! consistency proofs, taking cosignatures in. It must not know how witnesses and auditors are reached.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use tlog::{Checkpoint, Hash, SignatureLine, SignedCheckpoint};
use tokio::sync::watch;

use crate::batch::Work;
use crate::cosignatures::{self, Cosigned};
use crate::error::{AppendError, CosignError, Error, ReadOnly};
use crate::ledger::Ledger;
use crate::published::{Published, Signed};
use crate::shared::Shared;
use crate::store;
use crate::submission::{Appended, Submission};
use crate::tiles;

impl Ledger {
    /// The newest signed checkpoint, durable but perhaps not published, each time there is one. For whoever asks
    /// witnesses: what is seen here may be shown to them and to nobody else.
    pub fn signed(&self) -> watch::Receiver<Arc<Signed>> {
        self.shared().signed.subscribe()
    }

    /// The proof that the tree of `new` leaves begins with that of `old`, both sizes that the log has had.
    ///
    /// # Errors
    /// [`Error::Tree`] for a size beyond the newest, or an `old` one beyond the new one; [`Error::Corrupt`].
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
        let shared = self.shared();
        let newest = shared.newest.load_full();
        shared.alarmed(tiles::consistency_proof(&newest.edge, &shared.readers, old, new))
    }

    /// Takes in what cosigners answered for the checkpoint of `size`. Lines of keys that the policies name are verified,
    /// kept for good, and change what is published before this returns; all others are ignored. At most 64 lines are
    /// looked at. Needs a Tokio runtime, whose blocking threads replay what lies between two published checkpoints.
    ///
    /// # Errors
    /// [`CosignError`]; what was verified and stored before it stays.
    pub async fn add_cosignatures(
        &self,
        size: u64,
        lines: &[SignatureLine],
    ) -> Result<Cosigned, CosignError> {
        let shared = self.shared();
        let checkpoint = self.checkpoint(size)?;
        let (cosignatures, outcome) = cosignatures::verify(&checkpoint, lines, &shared.cosigners)?;
        shared.counters.refused_cosignatures.fetch_add(outcome.refused.len() as u64, Relaxed);
        if !outcome.refused.is_empty() {
            tracing::warn!(size, refused = ?outcome.refused, "cosignatures do not verify and are not kept");
        }
        if cosignatures.is_empty() {
            return Ok(outcome);
        }
        self.submit(Work::Cosignatures { size, root: checkpoint.root, cosignatures }).await?;
        shared.counters.cosignatures.fetch_add(outcome.added as u64, Relaxed);
        let ledger = self.clone();
        let considered = tokio::task::spawn_blocking(move || ledger.shared().reconsider(size)).await;
        match considered {
            Ok(considered) => shared.alarmed(considered)?,
            Err(error) => {
                tracing::error!(%error, size, "what follows from new cosignatures was not found out")
            }
        }
        Ok(outcome)
    }

    /// The newest checkpoint that satisfies the policy of the witnesses. The published one, where the policy demands it;
    /// otherwise perhaps an older one than that.
    pub fn cosigned(&self) -> Option<Arc<Published>> {
        self.shared().cosigned.as_ref()?.current()
    }

    /// The newest published checkpoint that satisfies the policy of the auditors.
    pub fn audited(&self) -> Option<Arc<Published>> {
        self.shared().audited.as_ref()?.current()
    }

    /// As [`Ledger::append`], and waits until a published checkpoint covers the record that was made or found, for
    /// `within` at most. Needs a Tokio runtime with a timer.
    ///
    /// # Errors
    /// As [`Ledger::append`]; [`AppendError::NotYetPublished`] when the time is over: the record stays and pins.
    pub async fn append_published(
        &self,
        submission: Submission,
        within: Duration,
    ) -> Result<Appended, AppendError> {
        let appended = self.append(submission).await?;
        if let Appended::Recorded(record) | Appended::Existing(record) = &appended {
            self.wait_until_published(record.index(), within).await?;
        }
        Ok(appended)
    }

    /// Waits until a published checkpoint covers the leaf at `index`, for `within` at most.
    ///
    /// # Errors
    /// [`AppendError::NotYetPublished`] when the time is over.
    pub async fn wait_until_published(&self, index: u64, within: Duration) -> Result<(), AppendError> {
        let mut size = self.shared().published_size.subscribe();
        if *size.borrow_and_update() > index {
            return Ok(());
        }
        let covered = tokio::time::timeout(within, size.wait_for(|size| *size > index)).await;
        match covered {
            Ok(Ok(_)) => Ok(()),
            _ => Err(AppendError::NotYetPublished { index }),
        }
    }

    /// Ends the hold of the start: the witnesses have seen no longer log.
    pub fn release(&self) {
        self.shared().held.store(false, Release);
    }

    /// A witness has seen `reported` leaves, which are more than there are here: the store was rolled back. From here on
    /// nothing is recorded or signed, and nothing is proved.
    pub fn declare_rollback(&self, reported: u64) {
        self.stop(ReadOnly::RolledBack { head: self.shared().newest.load().size, guard: reported });
    }

    /// Holds a checkpoint that somebody else has kept against this log. One that bears the signature of a key that this log
    /// signs with now (a retired one may be in anybody's hands) and is not of the tree here proves that the store was rolled back: from here on nothing is recorded, signed or proved, and
    /// the answer says why. Any other one changes nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn confront(&self, kept: &SignedCheckpoint) -> Result<Option<ReadOnly>, Error> {
        let shared = self.shared();
        let newest = shared.newest.load_full();
        let head: SignedCheckpoint =
            newest.note.parse().map_err(|_malformed| store::corrupt("the newest checkpoint"))?;
        let mut signing = shared.keys.all().filter(|key| head.verify(key).is_ok());
        let Some(kept) = signing.find_map(|key| kept.verify(key).ok()) else { return Ok(None) };
        let read_only = if kept.size > newest.size {
            ReadOnly::RolledBack { head: newest.size, guard: kept.size }
        } else if kept.size == 0 || shared.alarmed(root_at(&newest, shared, kept.size))? == kept.root {
            return Ok(None);
        } else {
            ReadOnly::Forked { size: kept.size }
        };
        self.stop(read_only.clone());
        Ok(Some(read_only))
    }

    fn stop(&self, read_only: ReadOnly) {
        tracing::error!(why = %read_only, "witnesses have seen more of this log than there is; the ledger is read-only");
        let _known_before = self.shared().rolled_back.set(read_only);
    }

    /// What the log signed at `size`, computed from tiles that are compared with the newest tree.
    fn checkpoint(&self, size: u64) -> Result<Checkpoint, CosignError> {
        let shared = self.shared();
        let newest = shared.newest.load_full();
        let not_signed = CosignError::NotSigned { size };
        if size < 2 || size > newest.size {
            return Err(not_signed);
        }
        if size < newest.size {
            let last = shared.alarmed(tiles::leaf(&newest.edge, &shared.readers, size - 1))?;
            if !matches!(last.leaf, taglog::Leaf::Index { .. }) {
                return Err(not_signed);
            }
        }
        let root = shared.alarmed(root_at(&newest, shared, size))?;
        Ok(Checkpoint { origin: self.origin().to_owned(), size, root })
    }
}

/// Of the first `size` leaves, which there are.
fn root_at(newest: &Signed, shared: &Shared, size: u64) -> Result<Hash, Error> {
    if size == newest.size {
        return Ok(newest.root);
    }
    Ok(tiles::earlier(&newest.edge, &shared.readers, size)?.frontier()?.root())
}
