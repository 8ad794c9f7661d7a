//! The newest checkpoint that satisfies a policy, with the state of the log at its size, kept at hand while the log goes
//! on. It must not know whose policy it is; what is published is `publish`'s.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rusqlite::Connection;
use tlog::{Policy, VerifierKey};

use crate::advance::advance;
use crate::cosignatures::{self, Cosignature};
use crate::error::Error;
use crate::keys::Keys;
use crate::published::{Published, Signed};
use crate::randomness::Randomness;
use crate::store::{self, CheckpointRow, corrupt};

/// One policy and the newest checkpoint that satisfies it.
#[derive(Debug)]
pub(crate) struct View {
    policy: Policy,
    current: ArcSwapOption<Published>,
    /// What the first state is reached from.
    base: Mutex<Option<Arc<Signed>>>,
}

impl View {
    /// A view that shows `current`, or nothing yet; later states are reached from it or from `base`.
    pub(crate) fn new(policy: Policy, current: Option<Arc<Published>>, base: Arc<Signed>) -> Self {
        let base = if current.is_some() { None } else { Some(base) };
        Self { policy, current: ArcSwapOption::new(current), base: Mutex::new(base) }
    }

    pub(crate) fn current(&self) -> Option<Arc<Published>> {
        self.current.load_full()
    }

    pub(crate) fn size(&self) -> u64 {
        self.current.load().as_ref().map_or(0, |current| current.size)
    }

    /// Shows the checkpoint `row` with `cosignatures` if they are enough and it is not older than what is shown.
    /// `at_hand` are states of the log that are there anyhow.
    pub(crate) fn reconsider(
        &self,
        row: &CheckpointRow,
        cosignatures: &[Cosignature],
        at_hand: &[Arc<Signed>],
        connection: &Connection,
        randomness: &Randomness,
    ) -> Result<(), Error> {
        if row.size < self.size() || !cosignatures::satisfy(&self.policy, cosignatures) {
            return Ok(());
        }
        let Some(signed) = self.state(row, at_hand, connection)? else { return Ok(()) };
        let published = Published::new(signed, &cosignatures::lines(cosignatures), randomness);
        self.current.store(Some(Arc::new(published)));
        self.base.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }

    /// The state at `row`; `None` for one older than everything that it could be reached from.
    fn state(
        &self,
        row: &CheckpointRow,
        at_hand: &[Arc<Signed>],
        connection: &Connection,
    ) -> Result<Option<Arc<Signed>>, Error> {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let own = self.current.load_full().map(|current| Arc::clone(&current.signed));
        let known = at_hand.iter().cloned().chain(base).chain(own).filter(|known| known.size <= row.size);
        match known.max_by_key(|known| known.size) {
            None => {
                tracing::warn!(size = row.size, "a checkpoint has its cosignatures too late to be served");
                Ok(None)
            }
            Some(known) if known.size == row.size && known.root != row.root => {
                Err(corrupt(format!("the cosigned checkpoint of size {}", row.size)))
            }
            Some(known) if known.size == row.size => Ok(Some(known)),
            Some(known) => advance(connection, &known, row).map(Arc::new).map(Some),
        }
    }
}

/// A stored checkpoint and the cosignatures that satisfied the policy it was looked for with.
pub(crate) type Found = (CheckpointRow, Vec<Cosignature>);

/// The newest stored checkpoint from `oldest` to `newest` that satisfies `policy`.
pub(crate) fn newest_satisfying(
    connection: &Connection,
    policy: &Policy,
    cosigners: &[VerifierKey],
    keys: &Keys,
    sizes: std::ops::RangeInclusive<u64>,
) -> Result<Option<Found>, Error> {
    let mut rows = store::checkpoints(connection)?;
    rows.retain(|size| sizes.contains(size));
    rows.sort_unstable_by_key(|size| Reverse(*size));
    for size in rows {
        if !cosignatures::may_satisfy(connection, policy, size)? {
            continue;
        }
        let Some(row) = store::checkpoint(connection, size)? else { continue };
        if !keys.have_signed_row(&row) {
            tracing::error!(size, "a stored checkpoint is not signed by the log and is left out");
            continue;
        }
        let cosignatures = cosignatures::of_checkpoint(connection, keys.own().name(), &row, cosigners)?;
        if cosignatures::satisfy(policy, &cosignatures) {
            return Ok(Some((row, cosignatures)));
        }
    }
    Ok(None)
}
