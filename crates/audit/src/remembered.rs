//! What a client remembers of the logs that it trusts, each under all of its keys: a log is its name, and
//! whoever holds one of its keys may show no other history than the holders of the others did.
//!
//! Knows nothing of tags or rules.

use std::path::Path;

use tlog::{SignedCheckpoint, VerifierKey};

use crate::Error;
use crate::memory::{Memory, fork_of_one_size, hold, refuse_at_sight};
use crate::source::Source;
use crate::state::LogState;
use crate::tree::Tree;
use crate::trust::Trust;

/// The memories of all trusted keys, and what was in them when the caller began.
#[derive(Debug)]
pub(crate) struct Remembered {
    logs: Vec<(LogState, Option<SignedCheckpoint>)>,
    now: u64,
}

impl Remembered {
    /// Nothing is remembered, by the caller's wish.
    pub(crate) fn nothing(now: u64) -> Self {
        Self { logs: Vec::new(), now }
    }

    /// Reads what is remembered below a directory.
    ///
    /// # Errors
    ///
    /// Those of [`LogState::open`] and [`LogState::latest`].
    pub(crate) fn load(directory: &Path, trust: &Trust, now: u64) -> Result<Self, Error> {
        let mut logs = Vec::new();
        for key in trust.logs() {
            let state = LogState::open(directory, key)?;
            let latest = state.latest()?;
            logs.push((state, latest));
        }
        Ok(Self { logs, now })
    }

    /// Whether there is a memory at all.
    pub(crate) fn is_off(&self) -> bool {
        self.logs.is_empty()
    }

    /// What was remembered of a log, under any of its keys.
    pub(crate) fn of<'a>(
        &'a self,
        origin: &'a str,
    ) -> impl Iterator<Item = (&'a LogState, &'a SignedCheckpoint)> {
        let of_origin = self.logs.iter().filter(move |(state, _)| state.log().name() == origin);
        of_origin.filter_map(|(state, latest)| Some((state, latest.as_ref()?)))
    }

    /// The memories of a log's keys.
    pub(crate) fn states<'a>(&'a self, origin: &'a str) -> impl Iterator<Item = &'a LogState> {
        self.logs.iter().map(|(state, _)| state).filter(move |state| state.log().name() == origin)
    }

    /// Whether anything is remembered of another log.
    pub(crate) fn knows_others(&self, origin: &str) -> bool {
        self.logs.iter().any(|(state, latest)| latest.is_some() && state.log().name() != origin)
    }

    /// The largest tree of a log that was remembered.
    pub(crate) fn largest<'a>(&'a self, origin: &'a str) -> Option<&'a SignedCheckpoint> {
        self.of(origin).map(|(_, latest)| latest).max_by_key(|latest| latest.checkpoint().size)
    }

    /// Refuses a checkpoint that cannot come after every remembered one, before any tile is asked for.
    ///
    /// # Errors
    ///
    /// As [`refuse_at_sight`].
    pub(crate) async fn refuse_at_sight(&self, source: &Source, new: &SignedCheckpoint) -> Result<(), Error> {
        for (_, before) in self.of(&new.checkpoint().origin) {
            refuse_at_sight(source, before, new).await?;
        }
        Ok(())
    }

    /// Opens the tree of a checkpoint that should be the newest, held against all that is remembered.
    ///
    /// # Errors
    ///
    /// As [`Remembered::refuse_at_sight`] and [`Remembered::remember`].
    pub(crate) async fn open(
        &self,
        source: &Source,
        signed: &SignedCheckpoint,
        signers: &[&VerifierKey],
    ) -> Result<Tree, Error> {
        self.refuse_at_sight(source, signed).await?;
        let mut tree = Tree::open(source, None, signed).await?;
        self.remember(signers, &mut tree).await?;
        Ok(tree)
    }

    /// Holds a tree against all that is remembered of its log, and remembers it under each key that
    /// signed it. A tree that is smaller than a remembered one has to be its beginning.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] with a fork; those of reading the tree and of the memory.
    pub(crate) async fn remember(&self, signers: &[&VerifierKey], tree: &mut Tree) -> Result<Memory, Error> {
        let signed = tree.signed().clone();
        let origin = &signed.checkpoint().origin;
        let mut held = vec![signed.checkpoint().clone()];
        let mut is_written = false;
        loop {
            // Read again: another process may have seen more in the meantime. Each writes before it reads the
            // others' for the last time, so that of two that saw different histories at least one finds out.
            let mut is_news = false;
            for state in self.states(origin) {
                let Some(latest) = state.latest()? else { continue };
                if !held.contains(latest.checkpoint()) {
                    hold(tree, &latest).await?;
                    held.push(latest.checkpoint().clone());
                    is_news = true;
                }
            }
            if is_written && !is_news {
                break;
            }
            is_written = true;
            for state in self.states(origin).filter(|state| signers.contains(&state.log())) {
                let latest = state.latest()?;
                let known = latest.as_ref().map(SignedCheckpoint::checkpoint);
                if known.is_some_and(|known| known.size >= signed.checkpoint().size) {
                    continue;
                }
                let is_held = known.is_none_or(|known| held.contains(known));
                is_written &= is_held && state.advance(latest.as_ref(), &signed)?;
            }
        }
        Ok(self.standing(&signed))
    }

    /// How a checkpoint that goes with everything stands to what was remembered at the beginning.
    pub(crate) fn standing(&self, signed: &SignedCheckpoint) -> Memory {
        let new = signed.checkpoint();
        if self.is_off() {
            return Memory::Off;
        }
        match self.largest(&new.origin).map(|latest| latest.checkpoint()) {
            None => Memory::First,
            Some(before) if before == new => Memory::Same,
            Some(before) if before.size > new.size => Memory::Earlier { remembered: before.size },
            Some(before) => Memory::Continues { remembered: before.size },
        }
    }

    /// Holds a checkpoint against what is remembered without the log's tiles: only equal sizes can be
    /// compared.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] with a fork; those of the memory.
    pub(crate) fn compare_offline(
        &self,
        signers: &[&VerifierKey],
        new: &SignedCheckpoint,
    ) -> Result<Memory, Error> {
        let checkpoint = new.checkpoint();
        for (_, before) in self.of(&checkpoint.origin) {
            if let Some(fork) = fork_of_one_size(before, new) {
                return Err(fork.into());
            }
        }
        if self.of(&checkpoint.origin).any(|(_, before)| before.checkpoint() == checkpoint) {
            return Ok(self.standing(new));
        }
        Ok(match self.standing(new) {
            Memory::First => {
                for state in self.states(&checkpoint.origin).filter(|state| signers.contains(&state.log())) {
                    // Another process may have been faster; its checkpoint stays then, like any other.
                    let _ours = state.advance(None, new)?;
                }
                Memory::First
            }
            Memory::Earlier { remembered } | Memory::Continues { remembered } => {
                Memory::NotCompared { remembered }
            }
            same => same,
        })
    }

    /// Turns a fault that was found into one that is written down, under the key that signed it; other
    /// errors stay as they are.
    pub(crate) fn written(&self, error: Error) -> Error {
        let Error::Fault(mut finding) = error else { return error };
        let keys: Vec<&VerifierKey> = self.logs.iter().map(|(state, _)| state.log()).collect();
        let signer = finding.fault.name_signers(&keys).cloned();
        match self.logs.iter().find(|(state, _)| Some(state.log()) == signer.as_ref()) {
            Some((state, _)) => state.record(*finding, self.now),
            None => Error::Fault(finding),
        }
    }
}
