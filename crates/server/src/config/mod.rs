//! The resolved configuration: typed, complete, checked.
//!
//! One struct per concern. Everything after this module sees values that cannot be wrong; nothing
//! here opens a socket or a database.

mod check;
mod environment;
mod error;
mod file;
mod layers;
mod listing;
mod memory;
mod proxies;
mod show;
mod sigstore;
#[cfg(test)]
mod tests;
mod upstreams;
mod values;
mod warnings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ledger::Budgets;
use oci::RegistryHost;
use url::Url;

pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::layers::{Flags, Origin, Origins};
pub use self::listing::{Allowed, Listing, UpstreamsMode};
pub use self::memory::pass_on_credentials;
pub(crate) use self::memory::remember_credentials;
pub use self::proxies::{AddressHeader, Network, TrustedProxies};
pub use self::sigstore::{SigstoreConfig, SigstoreMode};
pub use self::upstreams::{ProxyConfig, UpstreamConfig};
pub use self::values::{BlobMode, LogFormat, Publish, RefusalCode, Span, Supersede, ValueError};
pub use self::warnings::unknown_variables;
use crate::policy::Policy;

/// Everything that the service is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The URL under which clients reach us.
    pub public_url: Url,
    /// Where the log lives.
    pub data_dir: PathBuf,
    /// How long a check against upstream stays fresh; zero: every pull is checked.
    pub recheck: Duration,
    /// How long a pull waits for a check.
    pub recheck_timeout: Duration,
    /// The error code of a refusal.
    pub refusal_code: RefusalCode,
    /// How blobs reach a client.
    pub blobs: BlobMode,
    /// Whether `/log`, `/proof` and the pages are open.
    pub public: bool,
    /// Whether credentials may serve clients that we do not know.
    pub anonymous: bool,
    /// Whether the public log may name repositories that need credentials.
    pub publish_names: bool,
    /// A second address for `/metrics` alone.
    pub metrics_listen: Option<SocketAddr>,
    /// Which registries clients may name.
    pub listing: Listing,
    /// Proxies in front of us whose word on a client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// The certificate; without one clients speak http to us.
    pub tls: Option<TlsConfig>,
    /// Who may pull; without it everybody who reaches us.
    pub auth: Option<AuthConfig>,
    /// Whether credentials were configured at an earlier start.
    pub had_credentials: bool,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// The transparency log.
    pub log: LogConfig,
    /// Witnesses and auditors.
    pub cosigning: CosigningConfig,
    /// Budgets and bounds.
    pub limits: Limits,
    /// Registries that are reached otherwise than by their own name, or with credentials.
    pub upstreams: BTreeMap<RegistryHost, UpstreamConfig>,
    /// What is logged in Rekor.
    pub sigstore: Option<SigstoreConfig>,
    /// Whether the data directory is one that goes with the process: then the proof of a record is its bundle, and no log
    /// of ours is shown.
    pub ephemeral: bool,
    /// Which tags are frozen, observed, passed or denied.
    pub policy: Policy,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Where each value came from.
    pub origins: Origins,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The log's name in every checkpoint.
    pub origin: String,
    /// What leaf 0 of a new log says of re-pins.
    pub supersede: Supersede,
    /// The signing key, where it is not `<data_dir>/log.key`.
    pub key_file: Option<PathBuf>,
    /// A second signing key, during a planned change of keys.
    pub next_key_file: Option<PathBuf>,
    /// The rollback guard, where it is not `<data_dir>/guard`.
    pub guard_file: Option<PathBuf>,
}

/// The keys of `[log]` that speak of cosignatures.
#[derive(Clone, Debug)]
pub struct CosigningConfig {
    /// Whose cosignatures count; none are collected without.
    pub policies: Option<Policies>,
    /// Whether a checkpoint waits for them.
    pub mode: ledger::Mode,
    /// Between two questions to witnesses.
    pub interval: Duration,
}

/// C2SP tlog-policies; at least one of the two.
#[derive(Clone, Debug)]
pub struct Policies {
    /// File and content: those who are asked.
    pub(crate) witnesses: Option<(PathBuf, tlog::Policy)>,
    /// File and content: those who bring theirs.
    pub(crate) auditors: Option<(PathBuf, tlog::Policy)>,
}

impl Policies {
    /// Those who are asked.
    pub fn witnesses(&self) -> Option<&tlog::Policy> {
        self.witnesses.as_ref().map(|(_, policy)| policy)
    }

    /// Those who bring theirs.
    pub fn auditors(&self) -> Option<&tlog::Policy> {
        self.auditors.as_ref().map(|(_, policy)| policy)
    }
}

/// `[tls]`
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The certificate and those that lead to its root, as PEM.
    pub cert_file: PathBuf,
    /// Its key, as PEM.
    pub key_file: PathBuf,
}

/// `[auth]`; at least one of the two.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Names and hashes of passwords.
    pub users_file: Option<PathBuf>,
    /// Names and hashes of tokens.
    pub tokens_file: Option<PathBuf>,
}

/// `[limits]`; 0 = none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// What the ledger may record in a day.
    pub budgets: Budgets,
    /// Connections at one time.
    pub connections: u32,
    /// Connections of one client at one time.
    pub connections_per_client: u32,
    /// Bytes of answers that clients have not taken.
    pub untaken: u64,
    /// Of one client.
    pub untaken_per_client: u64,
    /// Requests of one client.
    pub requests_per_client_per_second: u32,
    /// Requests that it may make at once after a pause.
    pub requests_per_client_burst: u32,
}

impl Config {
    /// Whether `PORT` chose the address, which opens the service to the network.
    pub fn opened_by_port(&self) -> bool {
        self.origins.of("listen") == &Origin::Environment("PORT")
    }

    /// Whether any upstream has credentials.
    pub fn has_credentials(&self) -> bool {
        self.upstreams.values().any(UpstreamConfig::has_credentials)
    }

    /// Whether `/log`, `/proof` and the pages are there for whoever got as far as asking: for everybody, or for those who
    /// logged in.
    pub fn shows_log(&self) -> bool {
        !self.ephemeral && (self.public || self.auth.is_some())
    }

    /// Whether records of this registry are logged in Rekor: what needs credentials only where that is said.
    pub fn publishes(&self, host: &RegistryHost) -> bool {
        let per_tag = self.sigstore.as_ref().is_some_and(|config| config.mode == SigstoreMode::PerTag);
        let upstream = self.upstreams.get(host);
        let said = upstream.and_then(|upstream| upstream.sigstore);
        per_tag && said.unwrap_or_else(|| !upstream.is_some_and(UpstreamConfig::has_credentials))
    }
}
