//! Start-up: from a configuration to a listening service, and its orderly end.
//!
//! Decides whether a log may be made (design §4, creation); everything else is checked by the
//! configuration and by the ledger. Knows no requests.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ledger::{Clock, CreateError, FreeSpace, Ledger, Mode, OpenError, Options, Publication};
use taglog::SupersedeRule;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use upstream::{Credentials, Lookup, ProxySettings, Settings, UpstreamSettings};
use url::Url;

use crate::admin;
use crate::app::{App, Parts};
use crate::auth::{Accounts, AccountsError, Auth};
use crate::config::{Config, Origin, Policies, SigstoreMode, Supersede, remember_credentials};
use crate::cosigning::{self, Cosigning, CosigningError};
use crate::edge::certificates::{CertificateError, Certificates};
use crate::edge::crowd::Crowd;
use crate::edge::{listen, service};
use crate::evidence::{Records, keep_anchoring};
use crate::reload;

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
    /// `[sigstore]`
    #[error("`[sigstore]`: {0}")]
    Sigstore(#[from] sigstore::Error),
    /// The certificate or its key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The files of users and tokens.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The folder that goes with the process cannot be made, or is there.
    #[error("the folder `{}` of a service without a disk cannot be made", data_dir.display())]
    Ephemeral {
        /// Where it would be.
        data_dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The data directory does not take the mark that there were credentials.
    #[error("`{}` cannot be written to", data_dir.display())]
    Unmarked {
        /// The data directory.
        data_dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
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
            Self::Ephemeral { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("somebody else made it; start again, which takes another name".to_owned())
            }
            Self::Ephemeral { .. } => Some("let this user write to `TMPDIR`, or name a `data_dir`".to_owned()),
            Self::Unmarked { .. } => Some(
                "that there were credentials has to be remembered there, so that the log is not opened by accident when they are gone"
                    .to_owned(),
            ),
            Self::Sigstore(_)
            | Self::Certificate(_)
            | Self::Accounts(_)
            | Self::Create(_)
            | Self::Open(_)
            | Self::Upstream(_)
            | Self::Cosigning(_) => None,
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
    /// How long each witness is waited for before anything is signed, where their cosignatures are not demanded.
    pub witness_patience: Duration,
    /// By which clients' rates are counted and logins are remembered.
    pub instants: upstream::Clock,
    /// Between two looks at certificates and users' files.
    pub reload_interval: Duration,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            free_space: FreeSpace::system(),
            lookup: Lookup::System,
            cover_timeout: Duration::from_secs(5),
            witness_patience: cosigning::PATIENCE,
            instants: upstream::Clock::default(),
            reload_interval: Duration::from_secs(10),
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
    reload: Arc<Notify>,
    reload_interval: Duration,
}

/// Asks a running service to read certificates and users' files again.
#[derive(Clone, Debug)]
pub struct Reload(Arc<Notify>);

impl Reload {
    /// Now, whether they changed or not.
    pub fn now(&self) {
        self.0.notify_one();
    }
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
        let tls = config.tls.as_ref().map(Certificates::load).transpose()?;
        let accounts = config.auth.as_ref().map(Accounts::load).transpose()?;
        let auth = accounts.map(|accounts| Auth::new(accounts, surroundings.instants.clone()));
        let ledger = open(&config, &surroundings)?;
        if config.has_credentials() {
            remember_credentials(&config.data_dir)
                .map_err(|source| ServeError::Unmarked { data_dir: config.data_dir.clone(), source })?;
        }
        let upstream = upstream::Client::new(upstream_settings(&config, surroundings.lookup))?;
        let admin = admin::Listener::bind(&config.data_dir);
        let cosigning = Cosigning::of(&config.cosigning, &ledger, surroundings.witness_patience)?;
        let witnesses = cosigning.as_ref().map(Cosigning::counters);
        let crowd = Crowd::new(config.limits.connections_per_client, config.trusted_proxies.clone());
        let Surroundings { clock, instants, .. } = surroundings;
        let evidence = match &config.sigstore {
            Some(sigstore) => Some(Arc::new(Records::open(&config, sigstore, &ledger, clock.clone())?)),
            None => None,
        };
        let parts = Parts { ledger, upstream, evidence, witnesses, tls, auth, crowd, clock, instants };
        let app = App::new(config, parts, surroundings.cover_timeout);
        let (reload, reload_interval) = (Arc::default(), surroundings.reload_interval);
        Ok(Self { app, listener, metrics, admin, cosigning, address, reload, reload_interval })
    }

    /// Where it listens; the port is the real one where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL under which clients reach it.
    pub fn public_url(&self) -> &Url {
        &self.app.config.public_url
    }

    /// To have certificates and users' files read again.
    pub fn reload(&self) -> Reload {
        Reload(Arc::clone(&self.reload))
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
            let place = listen::Place { connections: METRICS_CONNECTIONS, crowd: None, tls: None };
            beside.spawn(listen::serve(listener, place, handle, until(stopped.clone())));
        }
        if let Some(listener) = self.admin {
            let app = Arc::clone(&self.app);
            beside.spawn(listener.serve(app, until(stopped.clone())));
        }
        if self.app.tls.is_some() || self.app.auth.is_some() {
            let app = Arc::clone(&self.app);
            beside.spawn(reload::keep_up(app, self.reload, self.reload_interval, until(stopped.clone())));
        }
        if let (Some(records), Some(config)) = (&self.app.evidence, &self.app.config.sigstore) {
            let records = Arc::clone(records);
            if config.mode == SigstoreMode::Anchor {
                beside.spawn(keep_anchoring(records, config.anchor_every, until(stopped.clone())));
            } else {
                let stop = until(stopped.clone());
                beside.spawn(async move { records.prepare(stop).await });
            }
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
        let place = listen::Place {
            connections: app.config.limits.connections,
            crowd: Some(Arc::clone(&app.crowd)),
            tls: app.tls.as_ref().map(Certificates::acceptor),
        };
        let handle = move |request, client| service::handle(Arc::clone(&app), request, client);
        listen::serve(self.listener, place, handle, stop).await;
        drop(stopping);
        while let Some(ended) = beside.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a listener ended in a panic");
            }
        }
        self.app.ledger.close().await;
        if self.app.config.ephemeral
            && let Err(error) = std::fs::remove_dir_all(&self.app.config.data_dir)
        {
            tracing::debug!(%error, "what goes with the process stays behind");
        }
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
    let account = |(username, password)| Credentials { username, password };
    let upstreams = config.upstreams.iter().map(|(host, upstream)| {
        let settings = UpstreamSettings {
            url: upstream.url.clone(),
            credentials: upstream.credentials.clone().map(account),
            docker_config: upstream.docker_config.clone(),
            token_file: upstream.token_file.clone(),
            token_hosts: upstream.token_hosts.iter().cloned().collect(),
            redirect_hosts: upstream.redirect_hosts.iter().cloned().collect(),
            max_concurrency: upstream.max_concurrency,
            ca_file: upstream.ca_file.clone(),
            proxy: upstream
                .proxy
                .clone()
                .map(|proxy| ProxySettings { url: proxy.url, credentials: proxy.credentials.map(account) }),
        };
        (host.clone(), settings)
    });
    let own_hosts: BTreeSet<String> = config.public_url.host_str().map(str::to_owned).into_iter().collect();
    Settings { upstreams: upstreams.collect(), own_hosts, lookup, ..Settings::default() }
}

/// Whether the files that a configuration names can be used: certificates, users, roots. Opens no log and no socket.
///
/// # Errors
///
/// What [`Service::start`] would say of them.
pub fn check(config: &Config) -> Result<(), ServeError> {
    upstream::Client::new(upstream_settings(config, Lookup::System))?;
    config.tls.as_ref().map(Certificates::load).transpose()?;
    config.auth.as_ref().map(Accounts::load).transpose()?;
    Ok(())
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
    if config.ephemeral || ledger::presence(&options).is_none() {
        let refused = |why| Err(ServeError::NoLog { data_dir: config.data_dir.clone(), why });
        if !config.listen.ip().is_loopback() && !config.ephemeral {
            return refused("none is made by itself for a service that is open to the network");
        }
        if config.log.key_file.is_some() {
            return refused("none is made by itself where `[log] key_file` names a key that should exist");
        }
        if config.ephemeral {
            // A directory that is there is somebody else's.
            let made = std::fs::DirBuilder::new().mode(0o700).create(&config.data_dir);
            made.map_err(|source| ServeError::Ephemeral { data_dir: config.data_dir.clone(), source })?;
        }
        let verifier = Ledger::init(&injected(new_log_options(config)))?;
        tracing::info!(data_dir = %config.data_dir.display(), log_key = %verifier, "made a new log");
    }
    // Whoever can be asked is asked before anything is signed.
    let asks = config.cosigning.policies.as_ref().is_some_and(|policies| policies.witnesses().is_some());
    let hold_until_released = asks || config.cosigning.mode == Mode::Require;
    Ok(Ledger::open(Options { hold_until_released, ..options })?)
}
