//! What a digest that upstream serves means beside what the log holds.
//!
//! Pure: the whole decision of design step 3, and nothing else.

use oci::Sha256Digest;

use crate::policy::Action;

/// What the log holds of a tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pinned {
    pub(crate) digest: Sha256Digest,
    /// Frozen: only an operator's public leaf may change it. Otherwise observed.
    pub(crate) frozen: bool,
    /// An operator ended its freezing: it can be frozen again by `supersede` alone.
    pub(crate) thawed: bool,
}

/// What has to happen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Record it, then serve it as first seen.
    FirstSeen {
        /// As a `tag` leaf; otherwise `seen`.
        freeze: bool,
    },
    /// Serve what is recorded.
    Same,
    /// Record the observed tag as frozen at this digest, then serve it.
    FreezeNow,
    /// Record the new digest of an observed tag, then serve it with a warning.
    Changed,
    /// A frozen tag has moved: record the evidence, refuse or serve what is recorded.
    Moved,
}

/// Compares. `action` is Freeze, Observe or Follow: the others need no verdict.
///
/// A frozen tag stays frozen whatever the configuration says later.
pub(crate) fn verdict(pinned: Option<Pinned>, action: Action, served: Sha256Digest) -> Verdict {
    let freeze = action == Action::Freeze;
    match pinned {
        None => Verdict::FirstSeen { freeze },
        Some(pinned) if pinned.frozen => {
            if pinned.digest == served {
                Verdict::Same
            } else {
                Verdict::Moved
            }
        }
        Some(pinned) if wants_freezing(pinned, action) => Verdict::FreezeNow,
        Some(pinned) => {
            if pinned.digest == served {
                Verdict::Same
            } else {
                Verdict::Changed
            }
        }
    }
}

/// Whether an observed tag has to become frozen, which takes upstream's bytes.
pub(crate) fn wants_freezing(pinned: Pinned, action: Action) -> bool {
    action == Action::Freeze && !pinned.frozen && !pinned.thawed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_policy_has_its_verdict() {
        let (a, b) = (Sha256Digest::of(b"a"), Sha256Digest::of(b"b"));
        let pinned = |frozen, thawed| Some(Pinned { digest: a, frozen, thawed });
        for (state, action, served, expected) in [
            (None, Action::Freeze, a, Verdict::FirstSeen { freeze: true }),
            (None, Action::Observe, a, Verdict::FirstSeen { freeze: false }),
            (pinned(true, false), Action::Freeze, a, Verdict::Same),
            (pinned(true, false), Action::Freeze, b, Verdict::Moved),
            (pinned(true, false), Action::Observe, b, Verdict::Moved),
            (pinned(false, false), Action::Observe, a, Verdict::Same),
            (pinned(false, false), Action::Observe, b, Verdict::Changed),
            (pinned(false, false), Action::Freeze, a, Verdict::FreezeNow),
            (pinned(false, false), Action::Freeze, b, Verdict::FreezeNow),
            (None, Action::Follow, a, Verdict::FirstSeen { freeze: false }),
            (pinned(true, false), Action::Follow, b, Verdict::Moved),
            (pinned(false, false), Action::Follow, b, Verdict::Changed),
            (pinned(false, true), Action::Freeze, a, Verdict::Same),
            (pinned(false, true), Action::Freeze, b, Verdict::Changed),
        ] {
            assert_eq!(verdict(state, action, served), expected, "{state:?} {action:?}");
        }
    }
}
