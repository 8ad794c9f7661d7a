//! What an operator may do to a record, in public: `supersede` and `thaw`; and ask how the service is.
//!
//! Through `<data_dir>/admin.sock` while the service runs, else on the data directory itself. Both
//! ways end in the same function. Knows no HTTP.

mod execute;
mod socket;

use std::io;

use ledger::{AppendError, OpenError};
use oci::{Sha256Digest, TagName};
use serde::{Deserialize, Serialize};
use taglog::Reason;

pub(crate) use self::socket::Listener;
use crate::config::Config;
use crate::cosigning::{CosigningError, ask_witnesses};
use crate::evidence::Records;
pub use crate::health::Readiness;
use crate::start::{ledger_options, upstream_settings};

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// From here on the tag means another digest.
    Supersede {
        /// The tag.
        tag: TagName,
        /// What it is to mean; fetched and hashed first.
        digest: Sha256Digest,
        /// Published for ever.
        reason: Reason,
    },
    /// From here on the tag is observed.
    Thaw {
        /// The tag.
        tag: TagName,
        /// Published for ever.
        reason: Reason,
    },
}

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The leaf's first word.
    pub kind: String,
    /// Its place in the log.
    pub index: u64,
    /// Its time, in Unix seconds.
    pub time: u64,
    /// `sha256:…`: what the tag meant.
    pub old: String,
    /// `sha256:…`: what it means now; what it meant, where it was thawed.
    pub new: String,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The tag has no record.
    #[error("`{tag}` is not recorded here, so there is nothing to change; a pull records it")]
    NotRecorded {
        /// The tag.
        tag: String,
    },
    /// The tag is observed.
    #[error("`{tag}` is not frozen, so there is nothing to thaw")]
    NotFrozen {
        /// The tag.
        tag: String,
    },
    /// Upstream does not have the new digest, or cannot be asked.
    #[error("`{subject}` cannot be fetched, so it cannot be recorded")]
    Fetch {
        /// Name and digest.
        subject: String,
        /// Why.
        #[source]
        source: upstream::Error,
    },
    /// What upstream has under the digest is no manifest.
    #[error(transparent)]
    Manifest(#[from] oci::ManifestError),
    /// It cannot be logged in Rekor, which comes first.
    #[error("the re-pin cannot be logged in public, so nothing was changed")]
    Public(#[from] sigstore::Error),
    /// Whether the log is whole cannot be asked.
    #[error(transparent)]
    Witnesses(#[from] CosigningError),
    /// Another re-pin was begun, and may be in Rekor already.
    #[error(
        "a re-pin of `{tag}` to `{digest}` was begun, and may be logged in public already; finish it first: `tlogistry supersede {tag} {digest} --reason TEXT`"
    )]
    Begun {
        /// The tag.
        tag: String,
        /// What it would mean then.
        digest: Sha256Digest,
    },
    /// What the re-pin would follow in public is kept and fails its check.
    #[error(
        "the bundle of the record of `{tag}` in log entry {index} fails its check, so a re-pin in public could not say what it follows; with `[sigstore] mode = \"off\"` it is re-pinned in our own log alone"
    )]
    Unproved {
        /// The tag.
        tag: String,
        /// The leaf.
        index: u64,
    },
    /// What the re-pin would follow in public cannot be read.
    #[error(
        "Rekor has a record of `{tag}` by this identity in entry {entry} that cannot be read, so a re-pin in public could not say what it follows; with `[sigstore] mode = \"off\"` it is re-pinned in our own log alone"
    )]
    Unreadable {
        /// The tag.
        tag: String,
        /// Its UUID.
        entry: String,
    },
    /// The log does not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The registry client cannot be set up.
    #[error(transparent)]
    Client(#[from] upstream::Error),
    /// The running service refuses.
    #[error("{message}")]
    Refused {
        /// In its words.
        message: String,
    },
    /// The running service cannot be asked.
    #[error("the running service cannot be asked through its admin socket")]
    Socket(#[source] io::Error),
    /// The running service says something else than it should.
    #[error(
        "the running service answers through its admin socket what this program does not understand; use the same version of both"
    )]
    Protocol,
}

/// How the running service is, with what strangers are not told; nothing where none runs.
///
/// # Errors
///
/// [`AdminError`]
pub async fn readiness(config: &Config) -> Result<Option<Readiness>, AdminError> {
    socket::ask_readiness(&config.data_dir).await
}

/// Does it: through the running service, or without one on the data directory.
///
/// # Errors
///
/// [`AdminError`]; nothing was recorded then.
pub async fn run(config: &Config, command: Command) -> Result<Outcome, AdminError> {
    if let Some(answer) = socket::ask(&config.data_dir, &command).await? {
        return answer;
    }
    let ledger = ledger::Ledger::open(ledger_options(config))?;
    ask_witnesses(config, &ledger).await?;
    let upstream = upstream::Client::new(upstream_settings(config, upstream::Lookup::System))?;
    let records = match &config.sigstore {
        Some(sigstore) => Some(Records::open(config, sigstore, &ledger, ledger::Clock::system())?),
        None => None,
    };
    if let Some(records) = &records {
        records.sigstore.prepare().await?;
    }
    let public = records.as_ref().map(|records| execute::Public { config, records });
    let outcome = execute::execute(&ledger, &upstream, public, command).await;
    ledger.close().await;
    outcome
}
