//! Why a request is refused before anything is looked up, with the status and code that clients know.

use crate::{DigestError, ErrorCode, NameError};

/// Why a request is refused before anything is looked up.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// Writing.
    #[error("this registry is read only; push to the upstream registry itself")]
    MethodNotAllowed,
    /// No such endpoint.
    #[error("no such endpoint; pull with /v2/<registry>/<repository>/manifests/<tag>")]
    NotFound,
    /// A path that no client has a reason to send.
    #[error("the path holds {0}, which no name, tag or digest contains")]
    Path(&'static str),
    /// Longer than 1 KiB.
    #[error("the path is longer than 1024 bytes")]
    PathTooLong,
    /// The name or tag.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// `?ns=` twice, or of another registry than the path.
    #[error("`ns` is given twice, or names another registry than the path does")]
    Namespace,
    /// `n` or `last`.
    #[error("`{0}` is not a valid page; `n` is a number and `last` a tag")]
    Page(String),
    /// A parameter of a history.
    #[error("`{parameter}` is given twice or is not {expected}")]
    History {
        /// Its name.
        parameter: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
}

impl RouteError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::MethodNotAllowed => 405,
            Self::NotFound => 404,
            _ => 400,
        }
    }

    /// The code of the envelope.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MethodNotAllowed | Self::NotFound => ErrorCode::Unsupported,
            Self::Name(NameError::Tag(_)) => ErrorCode::TagInvalid,
            Self::Digest(_) => ErrorCode::DigestInvalid,
            Self::Page(_) | Self::History { .. } => ErrorCode::SizeInvalid,
            Self::Path(_) | Self::PathTooLong | Self::Name(_) | Self::Namespace => ErrorCode::NameInvalid,
        }
    }
}
