//! What can go wrong between us and a registry.
//!
//! Messages name hosts and never carry tokens, passwords, or the query of a signed location.

use std::path::PathBuf;
use std::time::Duration;

use oci::{Digest, ManifestError, Sha256Digest};

use crate::address::Refused;
use crate::resolver::NoTurn;

/// Characters of what others say, in messages.
const MAX_WHY: usize = 200;

/// Why an upstream gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Neither by its own word nor after following its challenge is it there.
    #[error("upstream has no such thing (404)")]
    NotFound,
    /// 401 or 403, after its challenge was answered as far as we can.
    #[error("upstream denies {}", if *.had_credentials { "our credentials" } else { "anonymous pulls" })]
    Denied {
        /// Whether credentials are configured for it.
        had_credentials: bool,
    },
    /// 429.
    #[error("upstream limits our rate (429)")]
    TooManyRequests {
        /// By its own word.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    #[error("upstream answers {status}")]
    ServerError {
        /// The status.
        status: u16,
    },
    /// 416.
    #[error("upstream has no such range (416)")]
    RangeNotSatisfiable,
    /// A status that no registry should give.
    #[error("upstream answers {status}, which makes no sense here")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// No connection, no TLS, or it broke.
    #[error("`{host}` cannot be reached: {why}")]
    Unreachable {
        /// Whom.
        host: String,
        /// In short.
        why: String,
    },
    /// Too slow.
    #[error("`{host}` did not answer in time")]
    TimedOut {
        /// Who.
        host: String,
    },
    /// It failed so often in a row that it is left alone for a while.
    #[error("`{host}` failed again and again and is left alone for {} s", .wait.as_secs().max(1))]
    Resting {
        /// Who.
        host: String,
        /// For how long.
        wait: Duration,
    },
    /// Too many questions at one time.
    #[error("`{host}` is asked too much at one time; pull again in a moment")]
    Busy {
        /// Who.
        host: String,
    },
    /// Too many long lists at one time.
    #[error("too many long lists are being read at one time; ask again in a moment")]
    NoRoom,
    /// A host that may not be asked: a private address, a port, http, or ourselves.
    #[error(
        "`{host}` may not be asked: {why}; a registry that is reached otherwise than by its public name over https has to be configured as `[upstreams.\"name.alt\"]`"
    )]
    HostRefused {
        /// Whom.
        host: String,
        /// In short.
        why: &'static str,
    },
    /// A token service that does not belong to the registry.
    #[error(
        "the token service `{realm}` does not belong to `{host}`; allow it with `token_hosts` of that upstream"
    )]
    RealmRefused {
        /// The registry.
        host: String,
        /// The token service's host.
        realm: String,
    },
    /// A token service that gives no token.
    #[error("the token service of `{host}` gives no token: {why}")]
    NoToken {
        /// The registry.
        host: String,
        /// In short.
        why: String,
    },
    /// Credentials that are configured and cannot be had.
    #[error("the credentials of `{host}` cannot be had: {why}")]
    Credentials {
        /// Whose.
        host: String,
        /// In short.
        why: &'static str,
    },
    /// Too many redirects, or one that leads nowhere.
    #[error("`{host}` redirects {why}")]
    Redirect {
        /// Who.
        host: String,
        /// In short.
        why: &'static str,
    },
    /// A body over its bound.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// A body that ended early.
    #[error("the answer of `{host}` was cut short after {received} bytes")]
    Truncated {
        /// Whose.
        host: String,
        /// What came.
        received: usize,
    },
    /// A compressed body: its bytes are not those that a digest is of.
    #[error("the answer is compressed, though nobody asked for that")]
    Encoded,
    /// The digest header does not fit the bytes.
    #[error("upstream says {claimed}, but the bytes that it sends have {computed}")]
    DigestLies {
        /// By its header, or by the request.
        claimed: Digest,
        /// By the bytes.
        computed: Sha256Digest,
    },
    /// Asked for by a digest that we cannot check.
    #[error("`{digest}` cannot be checked; ask for a sha256 or sha512 digest")]
    UncheckableDigest {
        /// As asked for.
        digest: Digest,
    },
    /// Not a manifest.
    #[error(transparent)]
    InvalidManifest(#[from] ManifestError),
    /// Not the JSON that it should be, or too much of it.
    #[error("the answer is no list, or a longer one than 4 MiB")]
    InvalidList,
    /// A registry that is configured and cannot be asked as it is.
    #[error("`[upstreams.\"{host}\"]` cannot be used: {why}")]
    Upstream {
        /// Whom.
        host: String,
        /// In short.
        why: &'static str,
    },
    /// A file that a registry needs which is configured.
    #[error("`{}` of `[upstreams.\"{host}\"]` cannot be used: {why}", .path.display())]
    File {
        /// Whose.
        host: String,
        /// Which.
        path: PathBuf,
        /// In short.
        why: String,
    },
    /// The HTTP client cannot be set up.
    #[error(
        "the HTTP client cannot be set up: {why}; install the system's root certificates (`ca-certificates`), or name a file of them in `SSL_CERT_FILE`"
    )]
    Setup {
        /// In short.
        why: String,
    },
}

/// What an error means to whoever asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// It is not there.
    NotFound,
    /// It may not be read.
    Denied {
        /// Whether credentials are configured for the registry.
        had_credentials: bool,
    },
    /// Ask again later.
    TooManyRequests,
    /// Too slow.
    TimedOut,
    /// A range beyond the end.
    RangeNotSatisfiable,
    /// We do not ask this host.
    HostRefused,
    /// Not a manifest, or too large.
    InvalidManifest,
    /// The digest header does not fit the bytes.
    DigestLies,
    /// No room for it at the moment.
    NoRoom,
    /// Anything else that a working registry would not do.
    Unavailable,
}

impl Error {
    /// What it means.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Denied { had_credentials } => ErrorKind::Denied { had_credentials: *had_credentials },
            Self::TooManyRequests { .. } => ErrorKind::TooManyRequests,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::RangeNotSatisfiable => ErrorKind::RangeNotSatisfiable,
            Self::HostRefused { .. } => ErrorKind::HostRefused,
            Self::InvalidManifest(_) | Self::TooLarge { .. } => ErrorKind::InvalidManifest,
            Self::DigestLies { .. } => ErrorKind::DigestLies,
            Self::NoRoom => ErrorKind::NoRoom,
            Self::ServerError { .. }
            | Self::UnexpectedStatus { .. }
            | Self::Unreachable { .. }
            | Self::Resting { .. }
            | Self::Busy { .. }
            | Self::RealmRefused { .. }
            | Self::NoToken { .. }
            | Self::Credentials { .. }
            | Self::Redirect { .. }
            | Self::Truncated { .. }
            | Self::Encoded
            | Self::UncheckableDigest { .. }
            | Self::InvalidList
            | Self::Upstream { .. }
            | Self::File { .. }
            | Self::Setup { .. } => ErrorKind::Unavailable,
        }
    }

    /// One word for a metric.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Denied { .. } => "denied",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::ServerError { .. } => "server_error",
            Self::RangeNotSatisfiable => "range",
            Self::UnexpectedStatus { .. } => "unexpected_status",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Resting { .. } => "resting",
            Self::Busy { .. } => "busy",
            Self::NoRoom => "no_room",
            Self::HostRefused { .. } => "host_refused",
            Self::RealmRefused { .. } => "realm_refused",
            Self::NoToken { .. } => "no_token",
            Self::Credentials { .. } => "credentials",
            Self::Redirect { .. } => "redirect",
            Self::TooLarge { .. } => "too_large",
            Self::Truncated { .. } => "truncated",
            Self::Encoded => "encoded",
            Self::UncheckableDigest { .. } => "uncheckable_digest",
            Self::DigestLies { .. } => "digest_lies",
            Self::InvalidManifest(_) => "invalid_manifest",
            Self::InvalidList => "invalid_list",
            Self::File { .. } => "file",
            Self::Upstream { .. } | Self::Setup { .. } => "setup",
        }
    }

    /// How long upstream asks us to wait, or is left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after } => *retry_after,
            Self::Resting { wait, .. } => Some(*wait),
            _ => None,
        }
    }

    /// Whether it says that the registry is down, and not only that it does not like the question. 501 is about
    /// the question.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::ServerError { status } => *status != 501,
            _ => false,
        }
    }

    /// What the HTTP client says of how it is set up.
    pub(crate) fn of_setup(error: &reqwest::Error) -> Self {
        Self::Setup { why: deepest(error) }
    }

    /// What the HTTP client says, without the URL that it would print.
    pub(crate) fn of_client(host: &str, error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut { host: host.to_owned() };
        }
        if causes(error).any(|cause| cause.is::<NoTurn>()) {
            return Self::Busy { host: host.to_owned() };
        }
        match causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
            Some(Refused(why)) => Self::HostRefused { host: host.to_owned(), why },
            None => Self::Unreachable { host: host.to_owned(), why: deepest(error) },
        }
    }

    /// The same for a body of which `received` bytes had come.
    pub(crate) fn of_body(host: &str, error: &reqwest::Error, received: usize) -> Self {
        if error.is_timeout() {
            return Self::TimedOut { host: host.to_owned() };
        }
        Self::Truncated { host: host.to_owned(), received }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

/// The innermost cause; the error itself would print the URL with its query.
fn deepest(error: &reqwest::Error) -> String {
    let why = causes(error).last().map_or_else(|| "the connection failed".to_owned(), ToString::to_string);
    // A certificate may hold any text.
    why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WHY).collect()
}
