//! One verification against the client's memory.

use tlog::{SignedCheckpoint, VerifierKey};

use super::succession::{Succession, follow};
use crate::Error;
use crate::memory::{Memory, require_continuation, require_one_history};
use crate::remembered::Remembered;
use crate::source::Source;
use crate::tree::Tree;

/// A checkpoint that was served with a proof.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) checkpoint: &'a SignedCheckpoint,
    pub(super) signers: &'a [&'a VerifierKey],
    /// Its log's files; nothing: offline.
    pub(super) log: Option<&'a Source>,
    /// It was saved earlier, and may be older than what is remembered.
    pub(super) is_saved: bool,
}

/// Compares a checkpoint with what is remembered, and remembers it; faults are written down.
///
/// # Errors
///
/// [`Error::Caught`]; those of reading the log and of the memory.
pub(super) async fn compare(
    remembered: &Remembered,
    seen: &Seen<'_>,
) -> Result<(Memory, Option<Succession>), Error> {
    let compared = match seen.log {
        _ if remembered.is_off() => Ok((Memory::Off, None)),
        None => remembered.compare_offline(seen.signers, seen.checkpoint).map(|memory| (memory, None)),
        Some(source) => compare_with(remembered, source, seen).await,
    };
    compared.map_err(|error| remembered.written(error))
}

/// Checks that an earlier proof is of the same history as the newest one, which was compared before.
///
/// # Errors
///
/// [`Error::Caught`], or [`Error::Fault`] without a memory; those of reading the log.
pub(super) async fn compare_earlier(
    remembered: &Remembered,
    newest: &SignedCheckpoint,
    earlier: &Seen<'_>,
) -> Result<Memory, Error> {
    if let Some(source) = earlier.log {
        let one = require_one_history(source, earlier.checkpoint, newest).await;
        one.map_err(|error| remembered.written(error))?;
    }
    // It was not earlier at all: the log has grown in the meantime.
    if earlier.checkpoint.checkpoint().size >= newest.checkpoint().size {
        return compare(remembered, earlier).await.map(|(memory, _)| memory);
    }
    Ok(match remembered.standing(earlier.checkpoint) {
        Memory::Off => Memory::Off,
        _ => Memory::Earlier { remembered: newest.checkpoint().size },
    })
}

async fn compare_with(
    remembered: &Remembered,
    source: &Source,
    seen: &Seen<'_>,
) -> Result<(Memory, Option<Succession>), Error> {
    let checkpoint = seen.checkpoint.checkpoint();
    let knows_others = remembered.knows_others(&checkpoint.origin);
    let largest = remembered.largest(&checkpoint.origin);
    if largest.is_some_and(|largest| largest.checkpoint() == checkpoint) && !knows_others {
        return Ok((Memory::Same, None));
    }
    let larger = largest.filter(|largest| seen.is_saved && largest.checkpoint().size > checkpoint.size);
    if let Some(larger) = larger {
        let mut larger = Tree::open(source, None, larger).await?;
        require_continuation(&mut larger, seen.checkpoint).await?;
        return Ok((remembered.standing(seen.checkpoint), None));
    }
    remembered.refuse_at_sight(source, seen.checkpoint).await?;
    let mut tree = Tree::open(source, None, seen.checkpoint).await?;
    // Before the successor is remembered: what is not right is not to be remembered.
    let succession = if knows_others { follow(&mut tree, remembered).await? } else { None };
    Ok((remembered.remember(seen.signers, &mut tree).await?, succession))
}
