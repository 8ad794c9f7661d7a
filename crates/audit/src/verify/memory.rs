//! One verification against the client's memory, of every trusted key that signed.

use tlog::SignedCheckpoint;

use super::succession::{Succession, follow};
use super::{Seen, Settings};
use crate::Error;
use crate::memory::{Memory, fork_of_one_size, refuse_at_sight, remember, require_continuation};
use crate::state::LogState;
use crate::tree::Tree;

/// What is remembered of the trusted logs.
#[derive(Debug)]
pub(super) struct Remembered {
    logs: Vec<(LogState, Option<SignedCheckpoint>)>,
    now: u64,
}

impl Remembered {
    /// Reads it; nothing where the caller wants no memory.
    pub(super) fn load(settings: &Settings) -> Result<Self, Error> {
        let mut logs = Vec::new();
        if let Some(directory) = &settings.state {
            for key in settings.trust.logs() {
                let state = LogState::open(directory, key)?;
                let latest = state.latest()?;
                logs.push((state, latest));
            }
        }
        Ok(Self { logs, now: settings.now })
    }

    /// Compares, and remembers; faults are written down.
    pub(super) async fn compare(&self, seen: &Seen<'_>) -> Result<(Memory, Option<Succession>), Error> {
        let mut answer = (Memory::Off, None);
        for key in seen.signers.iter().rev() {
            let Some((state, before)) = self.logs.iter().find(|(state, _)| state.log() == *key) else {
                continue;
            };
            let compared = self.compare_one(state, before.as_ref(), seen).await;
            answer = compared.map_err(|error| state.written(error, self.now))?;
        }
        Ok(answer)
    }

    async fn compare_one(
        &self,
        state: &LogState,
        before: Option<&SignedCheckpoint>,
        seen: &Seen<'_>,
    ) -> Result<(Memory, Option<Succession>), Error> {
        let Some(source) = seen.log else { return Ok((offline(state, before, seen)?, None)) };
        let checkpoint = seen.checkpoint.checkpoint();
        if before.is_some_and(|before| before.checkpoint() == checkpoint) {
            return Ok((Memory::Same, None));
        }
        let size = checkpoint.size;
        if let Some(before) = before.filter(|before| seen.is_saved && before.checkpoint().size > size) {
            let mut larger = Tree::open(source, None, before).await?;
            require_continuation(&mut larger, seen.checkpoint).await?;
            return Ok((Memory::Earlier { remembered: before.checkpoint().size }, None));
        }
        if let Some(before) = before {
            refuse_at_sight(source, before, seen.checkpoint).await?;
        }
        let mut tree = Tree::open(source, None, seen.checkpoint).await?;
        // Before the successor is remembered: afterwards it would no longer be new to us.
        let succession = match before {
            None => follow(&mut tree, &self.logs).await?,
            Some(_) => None,
        };
        Ok((remember(state, before, &mut tree).await?, succession))
    }
}

/// Without the log's tiles only equal sizes can be compared.
fn offline(state: &LogState, before: Option<&SignedCheckpoint>, seen: &Seen<'_>) -> Result<Memory, Error> {
    let new = seen.checkpoint.checkpoint();
    let Some(before) = before else {
        // Another process may have been faster; its checkpoint stays then, like any other.
        let _ours = state.advance(None, seen.checkpoint)?;
        return Ok(Memory::First);
    };
    let old = before.checkpoint();
    if old == new {
        return Ok(Memory::Same);
    }
    match fork_of_one_size(before, seen.checkpoint) {
        Some(fork) => Err(fork.into()),
        None => Ok(Memory::NotCompared { remembered: old.size }),
    }
}
