//! What the caller decides about publishing: whether a checkpoint waits for cosignatures, and whose are collected.
//! It must not know how cosignatures come by.

use tlog::{Policy, VerifierKey};

use crate::error::OpenError;

/// Cosigners whose lines fit into one note beside the log's own.
const MOST_COSIGNERS: usize = 60;

/// When a checkpoint is published, and whose cosignatures are collected.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// Whether it waits.
    pub mode: Mode,
    /// Witnesses, and how many of them are enough (C2SP tlog-policy).
    pub witnesses: Option<Policy>,
    /// Auditors, perhaps with witnesses, and how many of them are enough. Their cosignatures come later than those of
    /// witnesses; the newest checkpoint that has enough of them is kept at hand beside the published one.
    pub auditors: Option<Policy>,
}

/// Whether a checkpoint waits for cosignatures before it is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The newest checkpoint is published at once, with whatever cosignatures it gets. Without witnesses to ask, this is
    /// all there is.
    #[default]
    BestEffort,
    /// Only a checkpoint that satisfies the policy of the witnesses is published.
    Require,
}

impl Publication {
    /// Whether every checkpoint is published as soon as it is durable.
    pub(crate) fn is_immediate(&self) -> bool {
        let demands = |policy: &Policy| !policy.is_satisfied_by(&std::collections::BTreeSet::new());
        self.mode == Mode::BestEffort || !self.witnesses.as_ref().is_some_and(demands)
    }

    /// Everybody whose cosignatures are collected, each once.
    pub(crate) fn cosigners(&self) -> Result<Vec<VerifierKey>, OpenError> {
        if self.mode == Mode::Require && self.witnesses.is_none() {
            return Err(OpenError::Publication { why: "it demands cosignatures, but names no witnesses" });
        }
        let policies = self.witnesses.iter().chain(&self.auditors);
        let mut keys: Vec<VerifierKey> = Vec::new();
        for (_, key, _) in policies.flat_map(Policy::witnesses) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        if keys.len() > MOST_COSIGNERS {
            return Err(OpenError::Publication {
                why: "it names more than 60 cosigners, whose lines do not fit into a note",
            });
        }
        Ok(keys)
    }
}
