//! What can keep a record from being logged, found or believed.
//!
//! Whether to try again is the caller's to decide; [`Error::is_transient`] says whether it could help.

use std::path::PathBuf;
use std::time::Duration;

/// Who was asked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Service {
    /// Whoever issues our identity tokens.
    Identity,
    /// The certificate authority.
    Fulcio,
    /// The transparency log.
    Rekor,
    /// The timestamp authority.
    Timestamp,
    /// The TUF repository of the trust root.
    Trust,
}

/// Which check a record failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// It is not a bundle, or has not the parts that a record of ours has.
    Shape,
    /// Signature, certificate chain, SCT, identity, issuer, timestamps, SET, inclusion, checkpoint, or the entry's body.
    Bundle,
    /// The checkpoint is of another log or tree than the entry.
    Origin,
    /// The entry is not the one that was asked for.
    Entry,
    /// The payload is not what the entry says.
    Payload,
    /// The statement is of another type, reference or digest.
    Statement,
}

/// Why something could not be done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A setting.
    #[error("{why}")]
    Settings {
        /// What is wrong, and what to write.
        why: String,
    },
    /// A file.
    #[error("`{}` cannot be used: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A service cannot be reached, or said no.
    #[error("{service} at `{url}`: {why}")]
    Service {
        /// Which.
        service: Service,
        /// Where.
        url: String,
        /// In short.
        why: String,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// A service answered what it should not.
    #[error("{service} at `{url}` answered what makes no sense: {why}")]
    Answer {
        /// Which.
        service: Service,
        /// Where.
        url: String,
        /// In short.
        why: String,
    },
    /// A service answered more than is read.
    #[error("{service} at `{url}` answered with more than {} KiB", limit / 1024)]
    TooLarge {
        /// Which.
        service: Service,
        /// Where.
        url: String,
        /// Bytes.
        limit: usize,
    },
    /// A record is not what it has to be.
    #[error("a record fails the check of {check}: {why}")]
    Verification {
        /// Which check.
        check: Check,
        /// In short.
        why: String,
    },
    /// More entries stand under one reference than are looked at.
    #[error(
        "more entries stand under `{reference}` in the log than are looked at within the budget ({looked_at} were); raise `search_entries` and `search_time`"
    )]
    SearchBudget {
        /// The reference.
        reference: String,
        /// Entries that were looked at.
        looked_at: usize,
    },
    /// The certificate ended before the signature was logged: it has to be signed again.
    #[error("the certificate of a signature ended before it was logged")]
    CertificateEnded,
    /// The metadata of the trust root has expired and cannot be renewed.
    #[error("the trust root has expired and cannot be renewed, so nothing is signed or adopted: {why}")]
    TrustExpired {
        /// Why it cannot be renewed.
        why: String,
    },
    /// A Rekor v1 shows two histories. It is no fault of what was signed, and signing anew helps nobody.
    #[error(
        "the log `{log}` shows another history than the one that was seen before; only if its operator began it anew, remove it from `{}`",
        kept.display()
    )]
    Forked {
        /// Its id, its name and the tree.
        log: String,
        /// Where its newest checkpoint is kept.
        kept: PathBuf,
    },
    /// Trust root or identity are still being asked for.
    #[error(
        "whom to trust and who signs here is not known within `search_time`, and is still being asked for"
    )]
    NotReady,
    /// Nobody said yet who we are.
    #[error(
        "who signs here is not known yet: name `identity` and `issuer`, or make the source of tokens answer"
    )]
    NoIdentity,
}

impl Error {
    /// Whether the same could go well a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Service { status, .. } => {
                status.is_none_or(|status| status == 429 || status == 408 || status >= 500)
            }
            Self::SearchBudget { .. } | Self::TrustExpired { .. } | Self::NoIdentity | Self::NotReady => true,
            _ => false,
        }
    }

    pub(crate) fn failed(check: Check, why: &dyn std::fmt::Display) -> Self {
        Self::Verification { check, why: why.to_string() }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Identity => "the source of identity tokens",
            Self::Fulcio => "Fulcio",
            Self::Rekor => "Rekor",
            Self::Timestamp => "the timestamp authority",
            Self::Trust => "the trust root's repository",
        })
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shape => "its shape",
            Self::Bundle => "its signature and evidence",
            Self::Origin => "its log",
            Self::Entry => "its entry",
            Self::Payload => "its payload",
            Self::Statement => "its statement",
        })
    }
}
