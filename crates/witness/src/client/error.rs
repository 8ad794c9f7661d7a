//! Every way in which a submission can end without a cosignature.
//!
//! Decides nothing: who tries again when, and what a larger size means, is the caller's matter.

use std::error::Error;
use std::time::Duration;

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for witnesses cannot be set up")]
pub struct SetupError(#[source] pub(super) reqwest::Error);

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The witness has seen more of this log than we have: our store may have been rolled back.
    #[error("the witness holds {held} leaves of this log, which has {ours}: was the log rolled back?")]
    Ahead {
        /// By the witness's word, which nothing proves.
        held: u64,
        /// Of the checkpoint.
        ours: u64,
    },
    /// 409 without a size, or with the size that was just named: another root of the same size.
    #[error("the witness holds another checkpoint (409) and names no size to go on from")]
    Conflict,
    /// 409 with yet another size, three times over.
    #[error("the witness names another size each time, {held} in the end")]
    Unsettled {
        /// The last one.
        held: u64,
    },
    /// 422.
    #[error("the witness refuses the consistency proof (422): to it this is another history")]
    ProofRefused,
    /// 403.
    #[error("the witness does not trust the key of this log (403)")]
    Untrusted,
    /// 404.
    #[error("the witness does not know this log (404); its operator has to add it")]
    UnknownLog,
    /// 400.
    #[error("the witness calls the request malformed (400)")]
    Malformed,
    /// 429.
    #[error("the witness limits our rate (429)")]
    Busy {
        /// By its own word, at most an hour.
        retry_after: Option<Duration>,
    },
    /// Any other status.
    #[error("the witness answers {status}")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// 200 without a line of the configured key.
    #[error("the witness answers without a cosignature of its key")]
    NotCosigned,
    /// 200 with a line of the configured key that is no cosignature of our checkpoint.
    #[error("the witness answers with a cosignature that does not verify")]
    Lied,
    /// 200 with something that is not what was asked for: signature lines, or a checkpoint.
    #[error("the witness answers with something else than it was asked for")]
    Garbage(#[source] tlog::Error),
    /// A body that is no text.
    #[error("the witness answers with something that is not UTF-8")]
    NotUtf8,
    /// More than any answer has.
    #[error("the witness answers with more than {limit} bytes")]
    TooLarge {
        /// What is read at most.
        limit: usize,
    },
    /// No answer within the time of a submission.
    #[error("the witness does not answer in time")]
    TimedOut,
    /// No connection, no TLS, or it broke.
    #[error("the witness cannot be reached: {why}")]
    Unreachable {
        /// What the transport said, innermost cause, without the URL.
        why: String,
    },
    /// The caller could not make the consistency proof.
    #[error("no consistency proof from {old} leaves can be made")]
    Proof {
        /// From where.
        old: u64,
        /// What the caller's closure said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The caller's checkpoint or proof is none that can be sent.
    #[error("the request cannot be written")]
    Request(#[source] tlog::Error),
}

impl SubmitError {
    pub(super) fn unreachable(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let mut cause: &dyn Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::Unreachable { why: cause.to_string() }
    }

    /// A word for a metric's label: one of a dozen, whatever a witness sends.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ahead { .. } => "ahead",
            Self::Conflict | Self::Unsettled { .. } => "conflict",
            Self::ProofRefused => "proof_refused",
            Self::Untrusted => "untrusted",
            Self::UnknownLog => "unknown_log",
            Self::Malformed => "malformed",
            Self::Busy { .. } => "busy",
            Self::UnexpectedStatus { .. } => "unexpected_status",
            Self::NotCosigned | Self::Garbage(_) | Self::NotUtf8 | Self::TooLarge { .. } => "garbage",
            Self::Lied => "lied",
            Self::TimedOut => "timed_out",
            Self::Unreachable { .. } => "unreachable",
            Self::Proof { .. } | Self::Request(_) => "own_fault",
        }
    }
}
