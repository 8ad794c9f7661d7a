//! What the module is told: who signs, whom it trusts, where the services are, and how much it may spend on a search.
//!
//! Values only; reads nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;

use crate::identity::Identity;

/// Everything.
#[derive(Clone, Debug)]
pub struct Settings {
    /// With which key statements are signed.
    pub signer: SignerSource,
    /// Who signs; learned from the first identity token where it is left open.
    pub identity: Option<Identity>,
    /// Who signed before: that is found, checked and watched as ours, and never signs.
    pub former: Vec<Former>,
    /// Which authorities and logs are believed, and which are used.
    pub trust: TrustSource,
    /// Instead of the signing configuration's.
    pub fulcio_url: Option<Url>,
    /// Instead of the signing configuration's: a Rekor v1.
    pub rekor_url: Option<Url>,
    /// Of identity tokens.
    pub audience: String,
    /// For one answer of Fulcio.
    pub fulcio_timeout: Duration,
    /// For one answer of Rekor.
    pub rekor_timeout: Duration,
    /// The name of our own log, which statements carry; `consult` passes over those of another.
    pub log_origin: Option<String>,
    /// Where Rekor v1's newest checkpoints are kept, which later ones have to continue; `None`: until the process ends.
    pub heads: Option<PathBuf>,
    /// Whether a second entry keeps the statement itself in Rekor v1, so that a service without a disk finds it again.
    pub store_attestation: bool,
    /// What a search may cost.
    pub search: SearchBudget,
    /// Whose records, made by the original program, are adopted.
    pub adopt_original: Vec<Identity>,
}

/// The key of signatures.
#[derive(Clone, Debug)]
pub enum SignerSource {
    /// A new one each few minutes, with a certificate for the identity that a token says.
    Workload(IdentitySource),
    /// A key of one's own (P-256, PEM), without a certificate.
    ManagedKey(PathBuf),
}

/// A signer that was replaced.
#[derive(Clone, Debug)]
pub enum Former {
    /// Named by certificates.
    Workload(Identity),
    /// The public key (PEM) of a managed key.
    Key(PathBuf),
}

/// Where identity tokens come from.
#[derive(Clone, Debug)]
pub enum IdentitySource {
    /// Google Cloud's metadata service, at this host.
    GoogleMetadata {
        /// `metadata.google.internal`, or what `GCE_METADATA_HOST` says.
        host: String,
    },
    /// GitHub Actions.
    GitHubActions {
        /// `ACTIONS_ID_TOKEN_REQUEST_URL`
        url: Url,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`
        token: SecretString,
    },
    /// A file that is read each time: a Kubernetes projected token, or any other.
    File(PathBuf),
    /// A token that was given once, such as `SIGSTORE_ID_TOKEN`.
    Token(SecretString),
    /// A program that prints one.
    Command(Vec<String>),
}

/// Where trust comes from.
#[derive(Clone, Debug)]
pub enum TrustSource {
    /// A TUF repository, renewed daily.
    Tuf {
        /// What it said is kept in this directory.
        cache_dir: PathBuf,
        /// Of a private instance; `None`: the public one's.
        repository: Option<TufRepository>,
    },
    /// Files of a private instance.
    Files {
        /// `trusted_root.json`
        trusted_root: PathBuf,
        /// `signing_config.json`
        signing_config: PathBuf,
    },
}

/// A TUF repository that has `trusted_root.json` and `signing_config.v0.2.json`.
#[derive(Clone, Debug)]
pub struct TufRepository {
    /// Where its metadata are.
    pub url: Url,
    /// Its `root.json`, of any version that is still followed by all later ones.
    pub root: PathBuf,
}

/// What one search may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SearchBudget {
    /// Entries that are fetched.
    pub entries: usize,
    /// Time for all of it.
    pub time: Duration,
}

impl Default for SearchBudget {
    fn default() -> Self {
        Self { entries: 64, time: Duration::from_secs(5) }
    }
}

/// The time, replaced in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// By this function.
    pub fn by(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }

    pub(crate) fn timestamp(&self) -> jiff::Timestamp {
        jiff::Timestamp::try_from(self.now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::by(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
