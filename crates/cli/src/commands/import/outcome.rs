//! What became of one reference, and of all.
//! It must not know how it was found out.

use std::fmt;

use oci::Sha256Digest;
use serde::Serialize;

/// What became of one reference.
#[derive(Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// Recorded just now.
    Recorded {
        #[serde(serialize_with = "as_text")]
        digest: Sha256Digest,
        index: u64,
    },
    /// Had a record before.
    Known {
        #[serde(serialize_with = "as_text")]
        digest: Sha256Digest,
        index: u64,
    },
    /// Upstream has another digest than the record.
    Moved {
        #[serde(serialize_with = "as_text")]
        recorded: Sha256Digest,
        #[serde(serialize_with = "as_text")]
        upstream: Sha256Digest,
    },
    /// Served, and not recorded.
    Passed,
    /// None of these.
    Failed { reason: String },
}

/// One line of standard output.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) line: u64,
    /// None where the line is no reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<&'a str>,
    /// The list, for a line that is no reference.
    #[serde(skip)]
    pub(super) list: &'a str,
    #[serde(flatten)]
    pub(super) outcome: &'a Outcome,
}

/// How many became what.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    recorded: u64,
    known: u64,
    moved: u64,
    passed: u64,
    failed: u64,
    /// Done by an earlier run, or listed twice.
    pub(super) skipped: u64,
}

impl Outcome {
    /// Whether there is a record that upstream agrees with, so that there is nothing left to do.
    pub(super) fn is_recorded(&self) -> bool {
        matches!(self, Self::Recorded { .. } | Self::Known { .. })
    }
}

impl Counts {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Recorded { .. } => &mut self.recorded,
            Outcome::Known { .. } => &mut self.known,
            Outcome::Moved { .. } => &mut self.moved,
            Outcome::Passed => &mut self.passed,
            Outcome::Failed { .. } => &mut self.failed,
        } += 1;
    }

    /// Lines that are done with.
    pub(super) fn sum(&self) -> u64 {
        self.recorded + self.known + self.moved + self.passed + self.failed + self.skipped
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sum() == 0
    }

    /// Whether nothing is left to do.
    pub(super) fn all_recorded(&self) -> bool {
        self.moved + self.passed + self.failed == 0
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recorded, known, moved, passed, failed, skipped } = self;
        write!(
            f,
            "recorded: {recorded}, known: {known}, moved: {moved}, passed: {passed}, failed: {failed}"
        )?;
        if *skipped > 0 {
            write!(f, ", skipped: {skipped}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            Outcome::Recorded { .. } => "recorded",
            Outcome::Known { .. } => "known",
            Outcome::Moved { .. } => "moved",
            Outcome::Passed => "passed",
            Outcome::Failed { .. } => "failed",
        };
        match self.reference {
            Some(reference) => write!(f, "{word} {reference}")?,
            None => write!(f, "{word} {}:{}", self.list, self.line)?,
        }
        match self.outcome {
            Outcome::Recorded { digest, index } | Outcome::Known { digest, index } => {
                write!(f, " {digest} {index}")
            }
            Outcome::Moved { recorded, upstream } => write!(f, " recorded {recorded} upstream {upstream}"),
            Outcome::Passed => Ok(()),
            Outcome::Failed { reason } => write!(f, " {reason}"),
        }
    }
}

fn as_text<S: serde::Serializer>(digest: &Sha256Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}
