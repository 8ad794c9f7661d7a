//! Evidence: a fault of a log in one file that anybody can check without network.
//!
//! The file holds everything that the fault is made of; [`recheck`] believes nothing of it, and wants
//! its key among those that the reader trusts.

mod form;
mod leaves;
mod recheck;
mod update;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use taglog::Rule;
use tlog::{Hash, SignedCheckpoint, VerifierKey};

pub(crate) use self::leaves::{is_same_move, is_tag_of, subject};
pub(crate) use self::recheck::shows;
pub use self::recheck::{Verdict, recheck};
use crate::Error;

/// The only schema so far.
const SCHEMA: u32 = 1;
/// Bytes of an evidence file, at most.
pub const MAX_EVIDENCE: usize = 64 * 1024 * 1024;

/// A fault of one log, as it is written down.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    schema: u32,
    /// The log's key.
    #[serde(with = "form::text")]
    pub log: VerifierKey,
    /// When it was written, in Unix seconds by the writer's clock.
    pub written: u64,
    /// The fault in words.
    pub why: String,
    /// What it is made of.
    pub fault: Fault,
}

/// A fault with its reason, before anybody wrote it down.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The fault in words.
    pub why: String,
    /// What it is made of.
    pub fault: Fault,
}

/// What a fault is made of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Two signed trees, neither of which begins with the other.
    Fork {
        /// The key of the log that signed the smaller one, where that is another one.
        #[serde(default, with = "form::optional_text", skip_serializing_if = "Option::is_none")]
        other_log: Option<VerifierKey>,
        /// Of the smaller tree.
        #[serde(with = "form::text")]
        older: SignedCheckpoint,
        /// Of the larger tree, or one of the same size.
        #[serde(with = "form::text")]
        newer: SignedCheckpoint,
        /// What the first leaves of the larger tree give, as many as the smaller one has.
        #[serde(with = "form::hash")]
        root: Hash,
        /// Proves that the larger tree begins with `root`.
        #[serde(with = "form::hashes")]
        proof: Vec<Hash>,
    },
    /// A tree that was served after a larger one had been.
    Rollback {
        /// The key of the log that signed what was served first, where that is another one.
        #[serde(default, with = "form::optional_text", skip_serializing_if = "Option::is_none")]
        other_log: Option<VerifierKey>,
        /// What was served first.
        #[serde(with = "form::text")]
        first: SignedCheckpoint,
        /// What was served later.
        #[serde(with = "form::text")]
        later: SignedCheckpoint,
    },
    /// A successor that does not continue the log that its leaf 0 names.
    Succession {
        /// The key of the log that is continued.
        #[serde(with = "form::text")]
        previous_log: VerifierKey,
        /// What that log signed.
        #[serde(with = "form::text")]
        previous: SignedCheckpoint,
        /// What the successor signed.
        #[serde(with = "form::text")]
        successor: SignedCheckpoint,
        /// Leaf 0 of the successor.
        leaf: SignedLeaf,
    },
    /// A signed tree with a leaf that breaks a rule.
    Leaf {
        /// Of that tree.
        #[serde(with = "form::text")]
        checkpoint: SignedCheckpoint,
        /// Which rule.
        rule: RuleName,
        /// Which leaf.
        index: u64,
        /// That leaf, and those that make it a fault; in order.
        leaves: Vec<SignedLeaf>,
        /// What the log's own map says of their keys.
        map: Vec<MapClaim>,
    },
    /// Files that do not belong to the tree for which they were served.
    Files {
        /// Of that tree.
        #[serde(with = "form::text")]
        checkpoint: SignedCheckpoint,
        /// Tiles from the right edge downwards; the last file is the one that does not belong.
        files: Vec<File>,
    },
}

/// The letter of a rule.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "as in `taglog::Rule`")]
pub enum RuleName {
    G,
    I,
    L,
    T,
    U,
}

/// A leaf with the proof that it is in the tree.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignedLeaf {
    /// Its place.
    pub index: u64,
    /// Its bytes.
    #[serde(with = "form::bytes")]
    pub leaf: Vec<u8>,
    /// Its inclusion proof.
    #[serde(with = "form::hashes")]
    pub proof: Vec<Hash>,
}

/// What the map says of a leaf's key before that leaf.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MapClaim {
    /// Place of the leaf whose key it is.
    pub of: u64,
    /// Place and hash of the key's current leaf; nothing: the map has none.
    pub current: Option<CurrentLeaf>,
    /// The way to the map's root.
    #[serde(with = "form::bytes")]
    pub proof: Vec<u8>,
}

/// A value of the map.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CurrentLeaf {
    /// The leaf's place.
    pub index: u64,
    /// Its hash.
    #[serde(with = "form::hash")]
    pub hash: Hash,
}

/// A file as it was served.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its path below the log's prefix.
    pub path: String,
    /// Its content.
    #[serde(with = "form::bytes")]
    pub bytes: Vec<u8>,
}

impl Evidence {
    /// Puts a fault of `log` down at `written`, in Unix seconds.
    pub fn new(log: &VerifierKey, written: u64, finding: Finding) -> Self {
        Self { schema: SCHEMA, log: log.clone(), written, why: finding.why, fault: finding.fault }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`Error::NotEvidence`] for anything but the form that [`Evidence::to_json`] gives.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let not = |why: String| Error::NotEvidence { why };
        if json.len() > MAX_EVIDENCE {
            return Err(not(format!("it is larger than {MAX_EVIDENCE} bytes")));
        }
        let evidence: Self = serde_json::from_slice(json).map_err(|error| not(error.to_string()))?;
        if evidence.schema != SCHEMA {
            return Err(not(format!("its schema is {}, and this program knows {SCHEMA}", evidence.schema)));
        }
        Ok(evidence)
    }

    /// The keys that somebody has to know to be the logs' before it is worth anything.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        let other = match &self.fault {
            Fault::Succession { previous_log, .. } => Some(previous_log),
            Fault::Fork { other_log, .. } | Fault::Rollback { other_log, .. } => other_log.as_ref(),
            Fault::Leaf { .. } | Fault::Files { .. } => None,
        };
        std::iter::once(&self.log).chain(other)
    }

    /// The file.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists: nothing that JSON cannot say.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

impl Fault {
    /// One word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fork { .. } => "fork",
            Self::Rollback { .. } => "rollback",
            Self::Succession { .. } => "succession",
            Self::Leaf { .. } => "leaf",
            Self::Files { .. } => "files",
        }
    }
}

impl Fault {
    /// Says which of a log's keys signed what it is made of, and gives the one that answers for it: the
    /// same for both checkpoints, if there is one.
    pub(crate) fn name_signers<'a>(&mut self, keys: &[&'a VerifierKey]) -> Option<&'a VerifierKey> {
        let of = |note: &SignedCheckpoint| -> Vec<&'a VerifierKey> {
            keys.iter().copied().filter(|key| note.verify(key).is_ok()).collect()
        };
        let (later, earlier, other_log) = match self {
            Self::Fork { other_log, older, newer, .. } => (newer, older, other_log),
            Self::Rollback { other_log, first, later } => (later, first, other_log),
            Self::Succession { successor: note, .. }
            | Self::Leaf { checkpoint: note, .. }
            | Self::Files { checkpoint: note, .. } => return of(note).first().copied(),
        };
        let (signers, others) = (of(later), of(earlier));
        let both = signers.iter().find(|key| others.contains(key));
        if both.is_none() {
            *other_log = others.first().map(|key| (*key).clone());
        }
        both.or(signers.first()).copied()
    }
}

impl Finding {
    pub(crate) fn new(why: impl Into<String>, fault: Fault) -> Self {
        Self { why: why.into(), fault }
    }

    /// The last of `files` does not belong to the tree.
    pub(crate) fn files(checkpoint: &SignedCheckpoint, files: Vec<File>, why: String) -> Self {
        Self { why, fault: Fault::Files { checkpoint: checkpoint.clone(), files } }
    }
}

impl From<Finding> for Error {
    fn from(finding: Finding) -> Self {
        Self::Fault(Box::new(finding))
    }
}

impl File {
    pub(crate) fn new(path: String, bytes: &Bytes) -> Self {
        Self { path, bytes: bytes.to_vec() }
    }
}

impl From<Rule> for RuleName {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::G => Self::G,
            Rule::I => Self::I,
            Rule::L => Self::L,
            Rule::T => Self::T,
            Rule::U => Self::U,
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
