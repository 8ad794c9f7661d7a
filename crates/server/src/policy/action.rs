//! What a rule can say: actions, and what happens to a tag that moved, is gone, or is too young.
//!
//! Words of the configuration and nothing else.

use std::fmt;

use serde::Deserialize;

/// What happens to a tag that a rule matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The first digest is recorded and stays what the tag means.
    Freeze,
    /// Every digest is recorded before it is served; a change is served with a warning.
    Observe,
    /// As `Observe`, without the warning.
    Follow,
    /// Served as upstream has it, neither recorded nor checked.
    Pass,
    /// Refused.
    Deny,
}

/// What a client gets when upstream moved a frozen tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMove {
    /// A 403 that carries both digests.
    Refuse,
    /// The recorded manifest, with a warning.
    ServeRecorded,
}

/// What a pull of a recorded tag gets when upstream says that it is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnGone {
    /// 404 that names the record.
    Refuse,
    /// The recorded manifest, with a warning.
    Serve,
}

/// What a client gets when the log has known a digest for less than `min_age`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnYoung {
    /// A 403 that says from when on it is served.
    #[default]
    Refuse,
    /// The newest digest of that tag which is old enough and still held, with a warning; without one a 403.
    ServeOld,
}

/// Whether refusals are real.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are logged and counted, and upstream's manifest is served with a warning.
    DryRun,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Freeze => "freeze",
            Self::Observe => "observe",
            Self::Follow => "follow",
            Self::Pass => "pass",
            Self::Deny => "deny",
        })
    }
}

impl fmt::Display for OnMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::ServeRecorded => "serve-recorded",
        })
    }
}

impl fmt::Display for OnGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::Serve => "serve",
        })
    }
}

impl fmt::Display for OnYoung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::ServeOld => "serve-old",
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::DryRun => "dry-run",
        })
    }
}
