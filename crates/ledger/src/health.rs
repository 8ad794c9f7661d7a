//! Whether the ledger can do its work: not "the process is up", but "the last checkpoint verifies, the store takes
//! records, the clock is sane". It must not know who asks.

use std::sync::Arc;

use crate::error::{ClockError, Error, ReadOnly};

/// The state of the ledger at one moment.
#[derive(Clone, Debug)]
pub struct Health {
    /// Leaves of the published checkpoint; 0 while none is.
    pub size: u64,
    /// Leaves of the newest durable checkpoint, published or not.
    pub newest: u64,
    /// Whether there is a published checkpoint that verifies with the log's key.
    pub checkpoint_verifies: bool,
    /// Why nothing is recorded, if the ledger is read-only.
    pub read_only: Option<ReadOnly>,
    /// Nothing is signed until the witnesses have been asked whether they have seen a longer log.
    pub held: bool,
    /// The sequencer has ended: the ledger was closed, or a COMMIT was in doubt.
    pub stopped: bool,
    /// Why the last batch was not recorded, until one is.
    pub failing: Option<Arc<Error>>,
    /// What is wrong with the clock, measured against the last leaf.
    pub clock: Option<ClockError>,
    /// Whether the clock was less than a day away from the last dated answer of a configured upstream that was to be
    /// recorded.
    pub clock_agrees_with_upstream: bool,
    /// Bytes free, where there is less than `min_free`.
    pub disk_too_full: Option<u64>,
}

impl Health {
    /// Whether new tags can be recorded.
    pub fn is_ready(&self) -> bool {
        self.checkpoint_verifies
            && self.read_only.is_none()
            && !self.held
            && !self.stopped
            && self.failing.is_none()
            && self.clock.is_none()
            && self.clock_agrees_with_upstream
            && self.disk_too_full.is_none()
    }
}
