//! Counters of the ledger since it was opened, for metrics and health.
//! It must not know how they are shown.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Counters, written where things happen.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) leaves: AtomicU64,
    pub(crate) unrecorded_moves: AtomicU64,
    pub(crate) failed_batches: AtomicU64,
    pub(crate) corrupt_reads: AtomicU64,
    pub(crate) cosignatures: AtomicU64,
    pub(crate) refused_cosignatures: AtomicU64,
}

/// A reading of the counters, all since the ledger was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Batches that appended leaves.
    pub batches: u64,
    /// Leaves appended, `index` leaves included.
    pub leaves: u64,
    /// Moves seen and not recorded, because a budget was spent or the disk was full.
    pub unrecorded_moves: u64,
    /// Batches that were not committed, or committed and not guarded.
    pub failed_batches: u64,
    /// Reads that found something else than the log committed to.
    pub corrupt_reads: u64,
    /// Cosignatures that verified and were kept.
    pub cosignatures: u64,
    /// Lines of known cosigners that did not verify.
    pub refused_cosignatures: u64,
    /// Submissions that are on their way at this moment.
    pub waiting: u64,
}

impl Counters {
    pub(crate) fn read(&self, waiting: usize) -> Statistics {
        Statistics {
            batches: self.batches.load(Relaxed),
            leaves: self.leaves.load(Relaxed),
            unrecorded_moves: self.unrecorded_moves.load(Relaxed),
            failed_batches: self.failed_batches.load(Relaxed),
            corrupt_reads: self.corrupt_reads.load(Relaxed),
            cosignatures: self.cosignatures.load(Relaxed),
            refused_cosignatures: self.refused_cosignatures.load(Relaxed),
            waiting: waiting as u64,
        }
    }
}
