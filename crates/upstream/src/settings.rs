//! What the client is told at start-up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oci::RegistryHost;
use secrecy::SecretString;
use url::Url;

use crate::resolver::Lookup;

/// Everything that the client is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Registries that are reached otherwise than by their own name over https, or with credentials.
    pub upstreams: BTreeMap<RegistryHost, UpstreamSettings>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Our own host names: asking ourselves would go round for ever.
    pub own_hosts: BTreeSet<String>,
    /// How names of registries that are not configured are resolved.
    pub lookup: Lookup,
    /// By which tokens grow old, and a registry that failed is left alone.
    pub clock: Clock,
}

/// One configured registry.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSettings {
    /// Where it is reached; http, ports and private addresses are allowed here.
    pub url: Option<Url>,
    /// For Basic, and for its token service. Of this and the two below at most one may be given.
    pub credentials: Option<Credentials>,
    /// Docker's `config.json`, whose credentials or helper are asked whenever a token is needed.
    pub docker_config: Option<PathBuf>,
    /// A file that holds a token, which is sent as it is and read again whenever it is needed.
    pub token_file: Option<PathBuf>,
    /// Hosts (or `host:port`), besides its own, that may issue its tokens.
    pub token_hosts: BTreeSet<String>,
    /// `host:port` of storage that it may redirect to though it is not public.
    pub redirect_hosts: BTreeSet<String>,
    /// Questions at one time, streams of blobs not counted; 64 where nothing is said.
    pub max_concurrency: Option<NonZeroUsize>,
    /// Roots that are believed besides the system's, as PEM; read at start-up.
    pub ca_file: Option<PathBuf>,
    /// Through which everything of this registry goes. It resolves the names, so only URLs can be checked, and no
    /// addresses.
    pub proxy: Option<ProxySettings>,
}

/// A proxy. None is ever taken from the environment.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// `http://…` or `https://…`
    pub url: Url,
    /// For the proxy alone.
    pub credentials: Option<Credentials>,
}

/// User name and password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Not secret.
    pub username: String,
    /// Never printed.
    pub password: SecretString,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection, name and TLS included.
    pub connect: Duration,
    /// From a request to its answer's headers; and for a credential helper of Docker.
    pub headers: Duration,
    /// For the whole of a manifest, a token or a page of a list, and for all before the first byte of a blob.
    pub total: Duration,
    /// For all pages of a list of referrers.
    pub list: Duration,
    /// Between two pieces of a blob.
    pub idle: Duration,
    /// Before the one retry, at most.
    pub retry: Duration,
}

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    /// The time by this function, for tests; that of the system is the default.
    pub fn by(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time by it.
    pub fn now(&self) -> Instant {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::by(Instant::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(15),
            total: Duration::from_secs(30),
            list: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            retry: Duration::from_millis(200),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            upstreams: BTreeMap::new(),
            timeouts: Timeouts::default(),
            own_hosts: BTreeSet::new(),
            lookup: Lookup::System,
            clock: Clock::default(),
        }
    }
}
