//! What a monitor reports: one event for each leaf that is watched, and what the registry says of it.
//!
//! An event's name follows from the log and the leaf alone, so that a receiver that gets it twice
//! can tell.

use oci::TagName;
use serde::{Deserialize, Serialize};
use taglog::Leaf;
use tlog::{Hash, VerifierKey};

use crate::evidence::subject;

/// One event, as it is written and sent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Event {
    /// From 1, in the order of the journal.
    pub number: u64,
    /// The same for the same event, wherever and whenever it is noticed.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// The log's name.
    pub log: String,
    /// The leaf's place in it.
    pub index: u64,
    /// The tag; nothing for a log that was closed.
    pub reference: Option<String>,
    /// What the tag means by this leaf, or what is in question.
    pub digest: Option<String>,
    /// What it is opposed to: the digest before a re-pin, the one that upstream moved to, or what the registry has under
    /// the tag instead.
    pub other: Option<String>,
    /// Unix seconds, by the leaf.
    pub time: u64,
    /// In the operator's words, or why the registry could not be asked.
    pub reason: Option<String>,
    /// For people.
    pub text: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A tag was recorded for the first time, and is frozen.
    FirstSeen,
    /// Upstream moved a frozen tag.
    Moved,
    /// The operator re-pinned a tag.
    Superseded,
    /// The operator ended the freezing of a tag.
    Thawed,
    /// An observed tag changed.
    Seen,
    /// The log has ended.
    Closed,
    /// The registry has no manifest of the digest that was recorded at first sight.
    NeverServed,
    /// The registry has that manifest, but under the tag another one or none: it may have been there once.
    NotConfirmed,
    /// The registry could not be asked about it.
    Unchecked,
}

impl EventKind {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstSeen => "first-seen",
            Self::Moved => "moved",
            Self::Superseded => "superseded",
            Self::Thawed => "thawed",
            Self::Seen => "seen",
            Self::Closed => "closed",
            Self::NeverServed => "never-served",
            Self::NotConfirmed => "not-confirmed",
            Self::Unchecked => "unchecked",
        }
    }
}

impl Event {
    /// Of a leaf; nothing for leaves that say nothing about a tag or the log's end.
    pub(super) fn of_leaf(log: &VerifierKey, index: u64, leaf: &Leaf) -> Option<Self> {
        let tag = subject(leaf);
        let reference = tag.as_ref().map(TagName::to_string);
        let name = reference.clone().unwrap_or_default();
        let (kind, digest, other, reason, text) = match leaf {
            Leaf::Tag(record) => {
                let digest = record.digest.to_string();
                (
                    EventKind::FirstSeen,
                    Some(digest.clone()),
                    None,
                    None,
                    format!("{name} was first seen as {digest}"),
                )
            }
            Leaf::Seen(record) => {
                let digest = record.digest.to_string();
                (
                    EventKind::Seen,
                    Some(digest.clone()),
                    None,
                    None,
                    format!("{name}, which is observed, is now {digest}"),
                )
            }
            Leaf::Moved { recorded, seen, .. } => {
                let text = format!("upstream moved {name} from the recorded {recorded} to {seen}");
                (EventKind::Moved, Some(recorded.to_string()), Some(seen.to_string()), None, text)
            }
            Leaf::Supersede { old, new, reason, .. } => {
                let text = format!("the operator re-pinned {name} from {old} to {new}: {}", reason.as_str());
                let reason = Some(reason.as_str().to_owned());
                (EventKind::Superseded, Some(new.to_string()), Some(old.to_string()), reason, text)
            }
            Leaf::Thaw { digest, reason, .. } => {
                let text =
                    format!("the operator no longer freezes {name}, now {digest}: {}", reason.as_str());
                (EventKind::Thawed, Some(digest.to_string()), None, Some(reason.as_str().to_owned()), text)
            }
            Leaf::Close { reason, .. } => {
                let text = format!("the log {} has ended: {}", log.name(), reason.as_str());
                (EventKind::Closed, None, None, Some(reason.as_str().to_owned()), text)
            }
            Leaf::Log { .. } | Leaf::Index { .. } | Leaf::Unknown { .. } => return None,
        };
        let time = leaf.time()?;
        let (id, log) = (id(log, index, kind), log.name().to_owned());
        Some(Self { number: 0, id, kind, log, index, reference, digest, other, time, reason, text })
    }

    /// What the registry has to say of a first sight, and what it has `instead`.
    pub(super) fn of_registry(
        first: &Self,
        log: &VerifierKey,
        kind: EventKind,
        instead: Option<String>,
        reason: String,
    ) -> Self {
        let (reference, digest) =
            (first.reference.clone().unwrap_or_default(), first.digest.clone().unwrap_or_default());
        let text = match kind {
            EventKind::NeverServed => {
                format!(
                    "the registry does not have {digest}, which the log recorded for {reference}: {reason}"
                )
            }
            EventKind::NotConfirmed => {
                format!(
                    "the registry has {digest}, which the log recorded for {reference}, but nothing there shows that the tag ever meant it: {reason}"
                )
            }
            _ => format!("the registry could not be asked about {reference}: {reason}"),
        };
        let (id, reason) = (id(log, first.index, kind), Some(reason));
        Self { number: 0, id, kind, other: instead, reason, text, ..first.clone() }
    }
}

/// Names the log by its key, as two logs may have one name.
fn id(log: &VerifierKey, index: u64, kind: EventKind) -> String {
    let log: String = Hash::of(log.to_string()).to_hex().chars().take(16).collect();
    format!("{log}-{index}-{}", kind.as_str())
}
