//! Start-up: from a configuration to a listening service, and its orderly end.
//!
//! Decides whether a log may be made (design §4, creation); everything else is checked by the
//! configuration and by the ledger. Knows no requests.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ledger::{Clock, CreateError, FreeSpace, Ledger, Mode, OpenError, Options, Publication};
use taglog::SupersedeRule;
use tokio::net::TcpListener;
use tokio::sync::watch;
use upstream::{Credentials, Lookup, Settings, UpstreamSettings};
use url::Url;

use crate::admin;
use crate::app::App;
use crate::config::{Config, Origin, Policies, Supersede};
use crate::cosigning::{Cosigning, CosigningError};
use crate::edge::{listen, service};

/// Connections of those who read metrics.
const METRICS_CONNECTIONS: u32 = 64;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// `listen` or `metrics_listen`.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no log, and none may be made without being asked for.
    #[error("there is no log in `{}`, and {why}", data_dir.display())]
    NoLog {
        /// Where it was looked for.
        data_dir: PathBuf,
        /// Which condition of making one does not hold.
        why: &'static str,
    },
    /// The log could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The log is there and cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The HTTP client.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// A witness.
    #[error(transparent)]
    Cosigning(#[from] CosigningError),
}

impl ServeError {
    /// What to do about it, where the message does not say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another program listens there; stop it, or choose another address with `--listen`".to_owned())
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need a privilege; choose another one with `--listen`".to_owned())
            }
            Self::Listen { .. } => Some("choose an address of this machine with `--listen`".to_owned()),
            Self::NoLog { .. } => Some(
                "make one with `tlogistry init`, once; if there should be one, is the volume of the data directory mounted?"
                    .to_owned(),
            ),
            Self::Create(_) | Self::Open(_) | Self::Upstream(_) | Self::Cosigning(_) => None,
        }
    }
}

/// What is passed in from outside the configuration; replaced in tests.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// Free bytes of the data directory's volume.
    pub free_space: FreeSpace,
    /// How names of registries are resolved.
    pub lookup: Lookup,
    /// How long a pull waits for a published checkpoint that covers its record.
    pub cover_timeout: Duration,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            free_space: FreeSpace::system(),
            lookup: Lookup::System,
            cover_timeout: Duration::from_secs(5),
        }
    }
}

/// A service that listens and does not answer yet.
pub struct Service {
    app: Arc<App>,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    admin: Option<admin::Listener>,
    cosigning: Option<Cosigning>,
    address: SocketAddr,
}

impl Service {
    /// Binds the addresses, opens the log (or makes it, where that is allowed) and sets up the client.
    ///
    /// # Errors
    ///
    /// [`ServeError`]; nothing is left running.
    pub async fn start(config: Config, surroundings: Surroundings) -> Result<Self, ServeError> {
        let listener = bind(config.listen).await?;
        let metrics = match config.metrics_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let address =
            listener.local_addr().map_err(|source| ServeError::Listen { address: config.listen, source })?;
        let config = with_port(config, address);
        let ledger = open(&config, &surroundings)?;
        let upstream = upstream::Client::new(upstream_settings(&config, surroundings.lookup))?;
        let admin = admin::Listener::bind(&config.data_dir);
        let cosigning = Cosigning::of(&config.cosigning, &ledger)?;
        let witnesses = cosigning.as_ref().map(Cosigning::counters);
        let app =
            App::new(config, ledger, upstream, witnesses, surroundings.cover_timeout, surroundings.clock);
        Ok(Self { app, listener, metrics, admin, cosigning, address })
    }

    /// Where it listens; the port is the real one where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL under which clients reach it.
    pub fn public_url(&self) -> &Url {
        &self.app.config.public_url
    }

    /// Its log, for what a program has to say of it.
    pub fn ledger(&self) -> &Ledger {
        &self.app.ledger
    }

    /// Answers until `stop` resolves, then lets open answers finish and closes the log. No append is lost.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (stopping, stopped) = watch::channel(());
        let until = |mut stopped: watch::Receiver<()>| async move {
            // An error means that the sender is gone, which is the signal.
            let _stop = stopped.changed().await;
        };
        let mut beside = tokio::task::JoinSet::new();
        if let Some(listener) = self.metrics {
            let app = Arc::clone(&self.app);
            let handle = move |request, _client| service::metrics_only(Arc::clone(&app), request);
            beside.spawn(listen::serve(listener, METRICS_CONNECTIONS, handle, until(stopped.clone())));
        }
        if let Some(listener) = self.admin {
            let app = Arc::clone(&self.app);
            beside.spawn(listener.serve(app, until(stopped.clone())));
        }
        if let Some(cosigning) = self.cosigning {
            let asked = AssertUnwindSafe(cosigning.run(self.app.ledger.clone(), until(stopped)));
            beside.spawn(asked.catch_unwind().map(|ended| {
                if ended.is_err() {
                    tracing::error!(
                        "asking witnesses ended in a panic; they are asked again after a restart"
                    );
                }
            }));
        }
        let app = Arc::clone(&self.app);
        let connections = app.config.limits.connections;
        let handle = move |request, client| service::handle(Arc::clone(&app), request, client);
        listen::serve(self.listener, connections, handle, stop).await;
        drop(stopping);
        while let Some(ended) = beside.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a listener ended in a panic");
            }
        }
        self.app.ledger.close().await;
    }
}

/// Starts a service and runs it until `stop` resolves.
///
/// # Errors
///
/// [`ServeError`].
pub async fn serve(config: Config, stop: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
    Service::start(config, Surroundings::default()).await?.run(stop).await;
    Ok(())
}

/// How an existing log is opened. Its name is compared only where the configuration says one: a log keeps the name
/// that it was made with, whatever `public_url` became since.
pub fn ledger_options(config: &Config) -> Options {
    let named = config.origins.of("log.origin") != &Origin::Default;
    let policies = config.cosigning.policies.as_ref();
    Options {
        publication: Publication {
            mode: config.cosigning.mode,
            witnesses: policies.and_then(Policies::witnesses).cloned(),
            auditors: policies.and_then(Policies::auditors).cloned(),
        },
        guard_file: config.log.guard_file.clone(),
        key_file: config.log.key_file.clone(),
        next_key_file: config.log.next_key_file.clone(),
        origin: named.then(|| config.log.origin.clone()),
        supersede: match config.log.supersede {
            Supersede::Never => SupersedeRule::Never,
            Supersede::Operator => SupersedeRule::Operator,
        },
        limits: config.limits.budgets,
        ..Options::new(&config.data_dir)
    }
}

/// How a new log is made: with its name, which is for ever.
pub fn new_log_options(config: &Config) -> Options {
    Options { origin: Some(config.log.origin.clone()), ..ledger_options(config) }
}

/// How the registry client is set up.
pub fn upstream_settings(config: &Config, lookup: Lookup) -> Settings {
    let upstreams = config.upstreams.iter().map(|(host, upstream)| {
        let credentials = upstream.credentials.clone();
        let settings = UpstreamSettings {
            url: upstream.url.clone(),
            credentials: credentials.map(|(username, password)| Credentials { username, password }),
            token_hosts: upstream.token_hosts.iter().cloned().collect(),
            redirect_hosts: upstream.redirect_hosts.iter().cloned().collect(),
            ..UpstreamSettings::default()
        };
        (host.clone(), settings)
    });
    let own_hosts: BTreeSet<String> = config.public_url.host_str().map(str::to_owned).into_iter().collect();
    Settings { upstreams: upstreams.collect(), own_hosts, lookup, ..Settings::default() }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// A port of the system's choice is known only now; the URL and the log's name that were derived from it follow.
fn with_port(mut config: Config, address: SocketAddr) -> Config {
    if config.listen.port() == 0 && config.origins.of("public_url") == &Origin::Default {
        // Fails for URLs without a host alone, which this one has.
        let _has_host = config.public_url.set_port(Some(address.port()));
        if config.origins.of("log.origin") == &Origin::Default {
            config.log.origin = format!("{}/log", config.public_url.authority());
        }
    }
    config.listen = address;
    config
}

fn open(config: &Config, surroundings: &Surroundings) -> Result<Ledger, ServeError> {
    let injected = |options: Options| Options {
        clock: surroundings.clock.clone(),
        free_space: surroundings.free_space.clone(),
        ..options
    };
    let options = injected(ledger_options(config));
    if ledger::presence(&options).is_none() {
        let refused = |why| Err(ServeError::NoLog { data_dir: config.data_dir.clone(), why });
        if !config.listen.ip().is_loopback() {
            return refused("none is made by itself for a service that is open to the network");
        }
        if config.log.key_file.is_some() {
            return refused("none is made by itself where `[log] key_file` names a key that should exist");
        }
        let verifier = Ledger::init(&injected(new_log_options(config)))?;
        tracing::info!(data_dir = %config.data_dir.display(), log_key = %verifier, "made a new log");
    }
    // In the other mode nothing that witnesses say holds up a record.
    let hold_until_released = config.cosigning.mode == Mode::Require;
    Ok(Ledger::open(Options { hold_until_released, ..options })?)
}
