//! A service in a temporary directory in front of a fake registry, and shorthands for what tests ask of it.
//! Knows the service only from outside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ledger::{Clock, FreeSpace, Ledger};
use oci::{Reference, Selector, TagName};
use server::config::{Config, ConfigError, Flags};
use server::{ServeError, Service, Surroundings};
use testkit::wire::{self, Reply, Request};
use testkit::{FakeRegistry, Image};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const START: i64 = 1_700_000_000;

/// A data directory, a registry that the service knows as `corp.alt`, and a clock.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) registry: FakeRegistry,
    pub(crate) clock: testkit::Clock,
    /// How long a pull waits for witnesses.
    pub(crate) cover_timeout: Duration,
    /// How long witnesses that are not demanded are waited for at the start.
    pub(crate) witness_patience: Duration,
    /// Keys of the file's top level.
    pub(crate) keys: String,
    /// Tables of the file, and keys of `[upstreams."corp.alt"]` first.
    pub(crate) tables: String,
}

/// A service that answers.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Ledger,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            registry: FakeRegistry::start().await,
            clock: testkit::Clock::at(START),
            // No test waits for a timer that it does not mean to.
            cover_timeout: Duration::from_secs(3600),
            witness_patience: Duration::from_secs(3600),
            keys: String::new(),
            tables: String::new(),
        }
    }

    /// With more lines at the top of the configuration.
    pub(crate) fn keys(mut self, lines: &str) -> Self {
        self.keys = format!("{}{lines}\n", self.keys);
        self
    }

    /// With more keys of the upstream, and then tables.
    pub(crate) fn tables(mut self, lines: &str) -> Self {
        self.tables = format!("{}{lines}\n", self.tables);
        self
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let path = self.directory.path().join("config.toml");
        let mut keys = self.keys.clone();
        for (key, default) in [
            ("listen", "\"127.0.0.1:0\""),
            ("public_url", "\"https://tlog.example\""),
            // No test waits for a timer that it does not mean to.
            ("recheck_timeout", "\"1h\""),
        ] {
            if !keys.lines().any(|line| line.starts_with(&format!("{key} "))) {
                keys = format!("{key} = {default}\n{keys}");
            }
        }
        let limits = if self.tables.contains("[limits]") { "" } else { "[limits]\nmin_free = 0\n" };
        let text = format!(
            "{keys}\ndata_dir = \"{}\"\n{limits}[upstreams.\"corp.alt\"]\nurl = \"{}\"\n{}",
            self.data_dir().display(),
            self.registry.url(),
            self.tables
        );
        std::fs::write(&path, text).unwrap();
        Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None)
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        let clock = self.clock.clone();
        Surroundings {
            clock: Clock::new(move || u64::try_from(clock.now()).unwrap()),
            free_space: FreeSpace::new(|_| Ok(u64::MAX)),
            cover_timeout: self.cover_timeout,
            witness_patience: self.witness_patience,
            ..Surroundings::default()
        }
    }

    pub(crate) async fn try_start(&self) -> Result<Running, ServeError> {
        self.try_start_in(self.surroundings()).await
    }

    /// A service that finds addresses by this look-up.
    pub(crate) async fn start_with_lookup(&self, lookup: upstream::Lookup) -> Running {
        self.start_in(Surroundings { lookup, ..self.surroundings() }).await
    }

    /// A service in other surroundings.
    pub(crate) async fn start_in(&self, surroundings: Surroundings) -> Running {
        self.try_start_in(surroundings).await.unwrap()
    }

    /// A service of another configuration.
    pub(crate) async fn start_with(&self, config: Config, surroundings: Surroundings) -> Running {
        Self::run(config, surroundings).await.unwrap()
    }

    async fn try_start_in(&self, surroundings: Surroundings) -> Result<Running, ServeError> {
        Self::run(self.config().unwrap(), surroundings).await
    }

    async fn run(config: Config, surroundings: Surroundings) -> Result<Running, ServeError> {
        let service = Service::start(config, surroundings).await?;
        let (stop, stopped) = oneshot::channel();
        let (address, ledger) = (service.address(), service.ledger().clone());
        let task = tokio::spawn(service.run(async move {
            let _stop_or_gone = stopped.await;
        }));
        Ok(Running { address, ledger, stop, task })
    }

    pub(crate) async fn start(&self) -> Running {
        self.try_start().await.unwrap()
    }

    /// Pushes an image that no other test has; gives it.
    pub(crate) fn push(&self, repository: &str, tag: &str) -> Image {
        let image = Image::unique();
        self.registry.push_image(repository, tag, &image);
        image
    }
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        wire::get(&self.url(path)).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        wire::head(&self.url(path)).await
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &self.url(path))
    }

    /// Leaves of the published log.
    pub(crate) fn size(&self) -> u64 {
        self.ledger.published().unwrap().size
    }

    /// GET by tag or digest of a repository behind `corp.alt`.
    pub(crate) async fn pull(&self, repository: &str, reference: &str) -> Reply {
        self.get(&format!("/v2/corp.alt/{repository}/manifests/{reference}")).await
    }

    /// Stops in good order and waits for it.
    pub(crate) async fn stop(self) {
        let Self { ledger, stop, task, .. } = self;
        drop(ledger);
        stop.send(()).unwrap();
        task.await.unwrap();
    }
}

pub(crate) fn tag_name(reference: &str) -> TagName {
    let parsed = Reference::parse(reference).unwrap();
    let Selector::Tag(tag) = parsed.selector else { panic!("`{reference}` names no tag") };
    TagName { name: parsed.name, tag }
}

/// The one error of an envelope: its code and message.
pub(crate) fn error(reply: &Reply) -> (String, String) {
    let json = reply.json();
    let errors = json["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1);
    let text = |key: &str| errors[0][key].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}
