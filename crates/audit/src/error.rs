//! What can go wrong between a stranger and a log.
//!
//! Every error is either an answer (the log or the tag is not as it should be) or says why there is
//! none; [`Error::answer`] tells which.

use std::io;
use std::path::PathBuf;

use taglog::ProofError;
use tlog::VerifierKey;

use crate::evidence::{Evidence, Finding};

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a URL nor a directory.
    #[error(
        "`{place}` is neither an http(s) URL nor a directory; write the log's prefix, such as `https://tlog.example/log`, or the directory of an export"
    )]
    Place {
        /// As written.
        place: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {why}; does the system have root certificates?")]
    Setup {
        /// In short.
        why: String,
    },
    /// No connection, or one that broke.
    #[error("`{url}` cannot be read: {why}; try again later")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// In short.
        why: String,
    },
    /// An answer that is neither success nor absence.
    #[error("`{url}` answers {status}{}", said(.message))]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// The first line of the answer.
        message: String,
    },
    /// A redirect to somewhere else.
    #[error("`{url}` redirects to another host; name the place that it leads to, if you trust that one")]
    Redirect {
        /// What was asked for.
        url: String,
    },
    /// More bytes than the format allows.
    #[error("`{place}` is larger than {limit} bytes")]
    TooLarge {
        /// What was read.
        place: String,
        /// The bound.
        limit: usize,
    },
    /// A file that should be there.
    #[error("`{place}` is not there; is this the prefix of a log, and is its copy complete?")]
    Missing {
        /// What was asked for.
        place: String,
    },
    /// The file system.
    #[error("cannot {doing} `{}`", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Bytes that are not what their place says.
    #[error("`{place}` is not what it should be")]
    Malformed {
        /// Where they are from.
        place: String,
        /// What is wrong.
        #[source]
        source: tlog::Error,
    },
    /// Not an evidence file, or one that does not show what it says.
    #[error("this is not evidence of a fault: {why}")]
    NotEvidence {
        /// What is missing.
        why: String,
    },
    /// Evidence that is signed with a key that nobody vouches for.
    #[error(
        "this is evidence against the key `{key}`, which is not among the trusted ones; anybody can make such a key"
    )]
    ForeignEvidence {
        /// The key in the file.
        key: Box<VerifierKey>,
    },
    /// The log is at fault.
    #[error("the log is at fault: {}", .0.why)]
    Fault(Box<Finding>),
    /// The log is at fault, and this is written down.
    #[error(
        "the log is at fault: {}; the evidence is in `{}`: show it to the log's operator, its witnesses and its other users",
        .evidence.why,
        .path.display()
    )]
    Caught {
        /// What was written.
        evidence: Box<Evidence>,
        /// Where.
        path: PathBuf,
    },
    /// The log is at fault, and this cannot be written down.
    #[error("the log is at fault: {}; the evidence could not be kept", .evidence.why)]
    Unwritten {
        /// What should have been written.
        evidence: Box<Evidence>,
        /// Why it was not.
        #[source]
        source: Box<Error>,
    },
    /// Much evidence is there already.
    #[error("`{}` holds enough evidence; look at it, and move it away", .path.display())]
    EvidenceFull {
        /// The directory.
        path: PathBuf,
    },
    /// A remembered checkpoint that the log did not sign.
    #[error(
        "`{}` does not hold a checkpoint of this log; put it back, or remove it to start afresh and to trust what the log shows next",
        .path.display()
    )]
    Memory {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: tlog::Error,
    },
    /// A directory that another process works with.
    #[error("`{}` is held by another process; one monitor at a time can work with one memory", .path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// A file of a monitor that is not as it was left.
    #[error("line {line} of `{}` is spoilt; put it back, or remove the directory to begin anew", .path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
    },
    /// A checkpoint that does not come after the one that is remembered.
    #[error("a checkpoint of size {new} does not come after the remembered one of size {stored}")]
    Backwards {
        /// Size of the remembered one.
        stored: u64,
        /// Size of the other one.
        new: u64,
    },
    /// A tag proof that proves nothing.
    #[error("`{place}` does not prove what it should")]
    Proof {
        /// Where it is from.
        place: String,
        /// What is wrong.
        #[source]
        source: Box<ProofError>,
    },
    /// A reference that names no tag.
    #[error("`{reference}` names a digest, which needs no record; name a tag")]
    NoTag {
        /// As asked for.
        reference: String,
    },
    /// A digest that no log records.
    #[error("logs record sha256 digests, so that `{digest}` cannot be compared; leave it out")]
    OtherAlgorithm {
        /// As asked for.
        digest: String,
    },
    /// A key that cannot cosign.
    #[error("the key `{name}` cannot cosign; make one for this auditor alone, of type `cosignature/v1`")]
    Cosigner {
        /// The key's name.
        name: String,
        /// What is wrong.
        #[source]
        source: tlog::Error,
    },
    /// A policy or key that cannot be used.
    #[error("the policy cannot be used")]
    Policy {
        /// What is wrong.
        #[source]
        source: tlog::Error,
    },
    /// No log's key was given.
    #[error(
        "no log's key is known; give one with `--log-key`, or a `log` line in the policy, from a place that you trust"
    )]
    NoKey,
    /// A checkpoint of a log whose key nobody gave.
    #[error(
        "the answer is signed by log `{origin}` with none of the keys that you trust ({}); if the log has a new key, get it from its operator and add it",
        .trusted.join(", ")
    )]
    UntrustedLog {
        /// The log, by its own word.
        origin: String,
        /// The keys that were given.
        trusted: Vec<String>,
    },
    /// A place that an audit was to be compared with, and was not.
    #[error("the log could not be compared with `{place}`, and nothing is cosigned: {why}")]
    Uncompared {
        /// Where.
        place: String,
        /// Why not.
        why: String,
    },
    /// Many trees that a log signed and nobody could compare.
    #[error(
        "`{}` holds {kept} checkpoints that this log signed and that could not be compared with it; ask its operator for the trees",
        .path.display()
    )]
    Unreconciled {
        /// The directory.
        path: PathBuf,
        /// How many.
        kept: usize,
    },
    /// Too few cosignatures.
    #[error(
        "the checkpoint is not cosigned as the policy demands: {}; wait until more witnesses have cosigned, or ask the operator",
        list(.cosigned)
    )]
    Quorum {
        /// The policy's witnesses that did cosign.
        cosigned: Vec<String>,
    },
}

/// What an error means to whoever asked; the exit status of a command follows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The answer is no.
    No,
    /// There is no answer.
    None,
}

impl Error {
    /// Whether the error is an answer.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::NotEvidence { .. }
            | Self::ForeignEvidence { .. }
            | Self::Fault(_)
            | Self::Caught { .. }
            | Self::Unwritten { .. }
            | Self::Backwards { .. }
            | Self::Proof { .. }
            | Self::UntrustedLog { .. }
            | Self::Quorum { .. } => Answer::No,
            Self::Place { .. }
            | Self::Setup { .. }
            | Self::Unreachable { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Missing { .. }
            | Self::EvidenceFull { .. }
            | Self::Memory { .. }
            | Self::InUse { .. }
            | Self::Journal { .. }
            | Self::Policy { .. }
            | Self::Cosigner { .. }
            | Self::NoKey
            | Self::Uncompared { .. }
            | Self::Unreconciled { .. }
            | Self::NoTag { .. }
            | Self::OtherAlgorithm { .. }
            | Self::File { .. } => Answer::None,
        }
    }

    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nobody did".to_owned() } else { format!("only {} did", names.join(", ")) }
}
