//! Everything that can keep a request from its answer.
//!
//! Each variant says what happened in our own terms; the one place that turns it into a status is
//! `edge::respond`. Clonable, because many requests share one check.

use std::sync::Arc;
use std::time::Duration;

use crate::evidence::Logged;
use ledger::{AppendError, Budget, ReadOnly};
use oci::{Digest, Name, RouteError, Sha256Digest, Tag};

/// The evidence that upstream moved a recorded tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Moved {
    pub(crate) record: RecordHead,
    /// What upstream serves now, hashed by us.
    pub(crate) seen: Sha256Digest,
}

/// A digest that the log has not known for long enough.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Young {
    pub(crate) record: RecordHead,
    /// Unix seconds of the digest's first record.
    pub(crate) since: u64,
    /// Unix seconds from which on it is served.
    pub(crate) from: u64,
}

/// What headers and messages say of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RecordHead {
    pub(crate) name: Name,
    pub(crate) tag: Tag,
    pub(crate) digest: Sha256Digest,
    /// Place in the log.
    pub(crate) index: u64,
    pub(crate) leaf_hash: tlog::Hash,
    /// Unix seconds of the leaf.
    pub(crate) time: u64,
    /// Where it is in Rekor, if it is.
    pub(crate) logged: Option<Arc<Logged>>,
}

/// What upstream was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Blob,
    Manifest,
    Repository,
}

/// Why a request is not answered with what it asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request itself.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A body where none belongs: smuggled requests hide there.
    #[error("a request to a read-only registry has no body")]
    RequestBody,
    /// A frozen tag that upstream moved.
    #[error("`{}:{}` moved", .0.record.name, .0.record.tag)]
    Moved(Box<Moved>),
    /// A recorded tag that upstream withdrew.
    #[error("`{}:{}` was withdrawn upstream", .0.name, .0.tag)]
    Gone(Box<RecordHead>),
    /// A digest younger than `min_age`.
    #[error("`{}:{}` is too young", .0.record.name, .0.record.tag)]
    Young(Box<Young>),
    /// A `deny` rule.
    #[error("`{reference}` is denied by {rule}")]
    DeniedByPolicy { reference: String, rule: String },
    /// Blobs are switched off.
    #[error("blobs are not served here")]
    BlobsDenied,
    /// The upstream registry.
    #[error("`{subject}`: {source}")]
    Upstream { what: What, subject: String, source: Arc<upstream::Error> },
    /// The log cannot take a new record, or is full for now; `known`: the tag has one already.
    #[error("`{subject}` cannot be recorded: {source}")]
    NotRecorded { subject: String, known: bool, source: Arc<AppendError> },
    /// It could not be recorded in public, which comes first.
    #[error("`{subject}` cannot be recorded in public now: {}", in_short(.source))]
    Evidence { subject: String, source: Arc<sigstore::Error> },
    /// There is no disk, and nothing that could be asked instead.
    #[error(
        "`{reference}` cannot be recorded now: this service keeps no disk, and what it recorded before is in a Rekor that has no index to ask; its operator can name a Rekor v1 with an index, or a data directory"
    )]
    Unsearched { reference: String },
    /// Rekor has a record of ours that cannot be read.
    #[error(
        "`{reference}` is not served: this service's identity has a record of it in Rekor entry {} of {}, which keeps only a hash; that is of another digest, of a re-pin, or in the name of another log, and is none that could be checked here; it is served where that record is, and from there `_oci/tag-history` names its digest",
        .entry.uuid, .entry.log
    )]
    Contradicted { reference: String, entry: Box<sigstore::Entry> },
    /// A record or manifest of ours is not what the log says.
    #[error("`{subject}`: our own record cannot be read")]
    Store { subject: String, source: Arc<ledger::Error> },
    /// No published checkpoint covers it yet, or it is not known yet whether the log was rolled back.
    #[error("nothing is published of `{subject}` yet; ask again in a moment")]
    NotYetPublished { subject: String },
    /// The store was rolled back: a proof would deny what it has lost.
    #[error("nothing is proved of `{subject}`: {source}")]
    Unprovable { subject: String, source: ReadOnly },
    /// Nothing there.
    #[error("`{what}` does not exist here")]
    NotFound { what: String },
    /// An endpoint of the registry API that is not offered.
    #[error("`{what}` is not offered here")]
    Unsupported { what: &'static str },
    /// A digest whose algorithm we cannot check.
    #[error("`{digest}` uses an algorithm that cannot be checked here; use sha256 or sha512")]
    Algorithm { digest: Digest },
    /// Pages, log and proofs are closed (`public = false`).
    #[error("not public")]
    NotPublic,
    /// A parameter of a page or of `/proof`.
    #[error("{message}")]
    BadRequest { message: String },
    /// A registry that is on no list of this service's.
    #[error(
        "`{host}` is not on the list of registries that this service pulls from; its operator can add it to `allow`, or configure it as `[upstreams.\"{host}\"]`"
    )]
    NotListed { host: String },
    /// Nobody, or nobody who may.
    #[error("{}", if *.shown { "name, password or token are wrong" } else { "log in: this service answers only those it knows" })]
    Unauthorized { shown: bool },
    /// One client's logins were wrong too often.
    #[error("too many wrong logins from this address; wait before the next one")]
    TooManyAttempts { retry_after: Duration },
    /// More passwords than can be checked.
    #[error("too many logins are being checked; try again in a moment")]
    LoginsBusy,
    /// One client's requests.
    #[error("too many requests from this address; the limit is `limits.requests_per_client_per_second`")]
    TooManyRequests { retry_after: Duration },
    /// Answers that were given and are not taken.
    #[error("too many answers wait to be taken; take those first: the limit is `{limit}`")]
    Untaken { limit: &'static str },
    /// A defect of ours.
    #[error("internal error")]
    Internal,
}

/// For clients: what other services said, and where they are, is for the operator's log.
fn in_short(error: &sigstore::Error) -> String {
    use sigstore::Error as E;
    match error {
        E::Service { service, .. } => format!("{service} cannot be reached, or said no"),
        E::Answer { service, .. } => format!("{service} answered what makes no sense"),
        E::Verification { check, .. } => format!("what came back fails the check of {check}"),
        E::SearchBudget { .. } => {
            "more entries stand under it in Rekor than are looked at; its operator can raise \
                                   `search_entries` and `search_time`"
                .to_owned()
        }
        E::TrustExpired { .. } => "the trust root has expired".to_owned(),
        _ => "its operator's log has the details".to_owned(),
    }
}

impl Error {
    /// Whether it is one client's own budget that is spent, and nobody else's.
    pub(crate) fn is_a_clients_budget(&self) -> bool {
        let Self::NotRecorded { source, .. } = self else { return false };
        matches!(**source, AppendError::Budget { budget: Budget::Client, .. })
    }

    /// How long a client should wait, where that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream { source, .. } => source.retry_after(),
            Self::NotRecorded { source, .. } => match &**source {
                AppendError::Busy { retry_after }
                | AppendError::Held { retry_after }
                | AppendError::Budget { retry_after, .. } => Some(*retry_after),
                _ => None,
            },
            Self::NotYetPublished { .. } => Some(Duration::from_secs(1)),
            Self::Evidence { .. } | Self::Unsearched { .. } => Some(Duration::from_secs(5)),
            Self::TooManyAttempts { retry_after } | Self::TooManyRequests { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}
