//! The cosignatures of one checkpoint, as they come in.
//!
//! Knows no witness but by name, and asks none.

use std::collections::{BTreeMap, BTreeSet};

use tlog::{Policy, SignatureLine, SignedCheckpoint};

/// One checkpoint and who has cosigned it.
#[derive(Debug)]
pub(super) struct Gathering {
    checkpoint: SignedCheckpoint,
    lines: BTreeMap<String, SignatureLine>,
}

impl Gathering {
    pub(super) fn of(checkpoint: SignedCheckpoint) -> Self {
        Self { checkpoint, lines: BTreeMap::new() }
    }

    pub(super) fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Adds a cosignature; a newer one of the same witness takes the place of the one before.
    pub(super) fn add(&mut self, witness: &str, line: SignatureLine) {
        self.lines.insert(witness.to_owned(), line);
    }

    /// The checkpoint with the log's signatures and all cosignatures so far.
    pub(super) fn note(&self) -> String {
        let mut note = self.checkpoint.note().clone();
        self.lines.values().for_each(|line| note.push(line.clone()));
        note.to_string()
    }

    /// Whether those who have cosigned are a quorum.
    pub(super) fn satisfies(&self, policy: &Policy) -> bool {
        let names: BTreeSet<&str> = self.lines.keys().map(String::as_str).collect();
        policy.is_satisfied_by(&names)
    }
}
