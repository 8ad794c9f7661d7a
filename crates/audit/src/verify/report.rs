//! What a verification found: for programs as JSON, for people as text.
//!
//! Decides nothing; what is refused was decided before.

use std::fmt;

use serde::Serialize;
use taglog::Leaf;

use super::{Settings, Succession};
use crate::memory::Memory;
use crate::time::rfc3339;
use crate::trust::{Cosigned, Cosigner};

/// The outcome of one verification.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Report {
    /// The tag, canonical.
    pub reference: String,
    /// The log's name.
    pub log: String,
    /// The log's key.
    pub key: String,
    /// The log's leaves.
    pub size: u64,
    /// Root of its tree.
    pub root: String,
    /// What its map says of the tag.
    pub outcome: Outcome,
    /// The known cosigners of its checkpoint.
    pub cosigners: Vec<Cosigner>,
    /// How new the checkpoint is known to be.
    pub freshness: Freshness,
    /// Whether anybody states that the tag never had another value.
    pub history: History,
    /// How the checkpoint stands to what was seen before.
    pub memory: Memory,
    /// The log that this one continues, where the client knew that one.
    pub succession: Option<Succession>,
    /// Why the answer is no; none: it is yes.
    pub refusals: Vec<Refusal>,
}

/// What the map says of the tag.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// It has a current leaf.
    Recorded {
        /// The leaf's place.
        index: u64,
        /// `sha256:…`, what the tag means.
        digest: String,
        /// Unix seconds, by the operator's word.
        time: u64,
        /// How it came to mean that.
        standing: Standing,
    },
    /// It has none.
    NeverRecorded {
        /// At which size of the log.
        size: u64,
    },
}

/// How a tag came to mean its digest.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Standing {
    /// Frozen as first seen.
    Frozen,
    /// Observed: it may mean another digest tomorrow.
    Observed,
    /// Re-pinned by the operator.
    Superseded {
        /// `sha256:…`, what it meant before.
        old: String,
        /// In the operator's words.
        reason: String,
    },
    /// No longer frozen, by the operator's decision.
    Thawed {
        /// In the operator's words.
        reason: String,
    },
}

/// How new the checkpoint is known to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Freshness {
    /// No cosignature that counts.
    Unknown,
    /// Enough witnesses knew of no newer one.
    At {
        /// Unix seconds.
        time: u64,
        /// Seconds since.
        age: u64,
    },
}

/// Whether anybody states that the rules hold for all of history.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum History {
    /// Nobody that the policy counts as an auditor, or too few.
    NotAudited,
    /// These auditors of the policy.
    Audited {
        /// By name.
        by: Vec<String>,
    },
}

/// Why the answer is no.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Refusal {
    /// The log has no record of the tag.
    NeverRecorded {
        /// At which size of the log.
        size: u64,
    },
    /// The tag means another digest.
    OtherDigest {
        /// As asked for.
        expected: String,
        /// As recorded.
        recorded: String,
    },
    /// The operator re-pinned it.
    Superseded {
        /// `sha256:…`, what it meant before.
        old: String,
        /// In the operator's words.
        reason: String,
    },
    /// The operator ended its freezing.
    Thawed {
        /// In the operator's words.
        reason: String,
    },
    /// The log does not freeze it.
    Observed,
    /// The newest sufficient cosignature is too old.
    TooOld {
        /// In seconds.
        age: u64,
        /// In seconds.
        max_age: u64,
    },
    /// There is no sufficient cosignature.
    FreshnessUnknown {
        /// In seconds.
        max_age: u64,
    },
}

impl Report {
    /// Whether the answer is yes.
    pub fn is_accepted(&self) -> bool {
        self.refusals.is_empty()
    }

    /// `sha256:…`, what the tag means, whether or not that is acceptable.
    pub fn digest(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Recorded { digest, .. } => Some(digest),
            Outcome::NeverRecorded { .. } => None,
        }
    }
}

impl Outcome {
    pub(super) fn of(size: u64, current: Option<&(u64, Leaf)>) -> Self {
        let recorded = current.and_then(|(index, leaf)| {
            let (_, _, digest) = leaf.current()?;
            Some(Self::Recorded {
                index: *index,
                digest: digest.to_string(),
                time: leaf.time()?,
                standing: Standing::of(leaf),
            })
        });
        recorded.unwrap_or(Self::NeverRecorded { size })
    }
}

impl Standing {
    fn of(leaf: &Leaf) -> Self {
        match leaf {
            Leaf::Supersede { old, reason, .. } => {
                Self::Superseded { old: old.to_string(), reason: reason.as_str().to_owned() }
            }
            Leaf::Thaw { reason, .. } => Self::Thawed { reason: reason.as_str().to_owned() },
            Leaf::Tag(_) => Self::Frozen,
            _ => Self::Observed,
        }
    }
}

impl Freshness {
    pub(super) fn of(cosigned: &Cosigned, now: u64) -> Self {
        let at = cosigned.fresh_at.map(|time| Self::At { time, age: now.saturating_sub(time) });
        at.unwrap_or(Self::Unknown)
    }
}

impl History {
    pub(super) fn of(cosigned: &Cosigned) -> Self {
        match cosigned.auditors.as_slice() {
            [] => Self::NotAudited,
            by => Self::Audited { by: by.to_vec() },
        }
    }
}

impl Refusal {
    /// Of a tag that is not simply frozen as first seen, unless that is allowed.
    pub(super) fn of_standing(leaf: &Leaf, settings: &Settings) -> Option<Self> {
        match Standing::of(leaf) {
            Standing::Superseded { .. } | Standing::Thawed { .. } if settings.allow_superseded => None,
            Standing::Observed if settings.allow_observed => None,
            Standing::Frozen => None,
            Standing::Superseded { old, reason } => Some(Self::Superseded { old, reason }),
            Standing::Thawed { reason } => Some(Self::Thawed { reason }),
            Standing::Observed => Some(Self::Observed),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.reference)?;
        writeln!(f, "  {}", self.outcome)?;
        writeln!(f, "  log {}, size {}, root {}", self.log, self.size, self.root)?;
        for cosigner in &self.cosigners {
            writeln!(f, "  cosigned by {} at {}", cosigner.name, rfc3339(cosigner.time))?;
        }
        writeln!(f, "  {}", self.freshness)?;
        writeln!(f, "  {}", self.history)?;
        writeln!(f, "  {}", self.memory)?;
        if let Some(Succession { previous, size, remembered, compared }) = &self.succession {
            let how = if *compared { "which is what was seen of it" } else { "of which less was seen" };
            writeln!(f, "  continues log {previous} of size {size}, {how} (size {remembered})")?;
        }
        self.refusals.iter().try_for_each(|refusal| writeln!(f, "no: {refusal}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRecorded { size } => write!(f, "never recorded at size {size}"),
            Self::Recorded { index, digest, time, standing } => {
                write!(f, "{digest}\n  {standing} at {}, leaf {index}", rfc3339(*time))
            }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen => f.write_str("frozen as first seen"),
            Self::Observed => f.write_str("observed, not frozen; seen"),
            Self::Superseded { old, reason } => {
                write!(f, "superseded by the operator (before: {old}; reason: {reason})")
            }
            Self::Thawed { reason } => write!(f, "thawed by the operator (reason: {reason})"),
        }
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("freshness unknown"),
            Self::At { time, age } => write!(f, "fresh at {} ({age} s ago)", rfc3339(*time)),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAudited => f.write_str("history not audited"),
            Self::Audited { by } => write!(f, "history audited by {}", by.join(", ")),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("not compared with anything seen before"),
            Self::First => f.write_str("the first checkpoint seen of this log"),
            Self::Same => f.write_str("the checkpoint seen last"),
            Self::Continues { remembered } => {
                write!(f, "continues the tree of size {remembered} seen before")
            }
            Self::Earlier { remembered } => {
                write!(f, "the beginning of the tree of size {remembered} seen since")
            }
            Self::NotCompared { remembered } => {
                write!(f, "not compared with the tree of size {remembered} seen before (offline)")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRecorded { size } => {
                write!(f, "never recorded at size {size}; pull it once through the proxy to have it recorded")
            }
            Self::OtherDigest { expected, recorded } => {
                write!(f, "the tag means {recorded}, not {expected}")
            }
            Self::Superseded { old, reason } => write!(
                f,
                "superseded: the operator re-pinned it from {old} ({reason}); accept that with `--allow-superseded`"
            ),
            Self::Thawed { reason } => write!(
                f,
                "thawed: the operator no longer freezes it ({reason}); accept that with `--allow-superseded`"
            ),
            Self::Observed => f.write_str(
                "observed: the log does not freeze it, and may have done so before a `thaw`; accept that with `--allow-observed`",
            ),
            Self::TooOld { age, max_age } => {
                write!(f, "the newest sufficient cosignature is {age} s old, more than {max_age} s")
            }
            Self::FreshnessUnknown { max_age } => write!(
                f,
                "freshness unknown: no cosignature shows that the checkpoint is at most {max_age} s old; name witnesses with `--policy`"
            ),
        }
    }
}
