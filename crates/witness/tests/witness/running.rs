//! A witness of ours that is running, and requests to it as they are on the wire.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use testkit::Clock;
use testkit::wire::{Reply, Request};
use tlog::{AddCheckpoint, Hash, KeyAlgorithm, SigningKey, VerifierKey};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use witness::server::{Error, Log, Logs, Now};
use witness::{Settings, Witness, create, serve};

use crate::log;

pub(crate) const NAME: &str = "witness.example/w1";
pub(crate) const START: i64 = 1_800_000_000;

/// Where a witness keeps things, with the key of seed 2.
pub(crate) struct Place {
    directory: PathBuf,
    /// Removed with the value that made it.
    made: Option<tempfile::TempDir>,
    pub(crate) logs: Vec<Log>,
    pub(crate) clock: Clock,
}

/// The witness while it runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), Error>>,
}

impl Place {
    /// A new witness that knows the log of `log.rs`.
    pub(crate) fn new() -> Self {
        let made = tempfile::tempdir().unwrap();
        let mut place = Self::existing(made.path());
        place.made = Some(made);
        create(&place.database(), &place.key_file(), NAME).unwrap();
        let known = SigningKey::from_seed(NAME, KeyAlgorithm::CosignatureV1, &[2; 32]).unwrap();
        std::fs::write(place.key_file(), known.to_private_form()).unwrap();
        place
    }

    /// The witness that is in `directory`.
    pub(crate) fn existing(directory: &Path) -> Self {
        let logs = vec![Log { origin: log::ORIGIN.to_owned(), keys: vec![log::Log::new().key().verifier()] }];
        Self { directory: directory.to_owned(), made: None, logs, clock: Clock::at(START) }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.join("witness.db")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.directory.join("witness.key")
    }

    pub(crate) async fn settings(&self) -> Settings {
        let clock = self.clock.clone();
        Settings {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            connections: 64,
            database: self.database(),
            key_file: self.key_file(),
            logs: Logs::new(self.logs.clone()).unwrap(),
            now: Now::new(move || u64::try_from(clock.now()).unwrap()),
        }
    }

    pub(crate) async fn start(&self) -> Running {
        let settings = self.settings().await;
        let address = settings.listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(settings, async { drop(stopped.await) }));
        Running { address, stop, served }
    }
}

pub(crate) fn verifier() -> VerifierKey {
    SigningKey::from_seed(NAME, KeyAlgorithm::CosignatureV1, &[2; 32]).unwrap().verifier()
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How a log knows it.
    pub(crate) fn witness(&self) -> Witness {
        Witness::new("w1", verifier(), &self.url("")).unwrap()
    }

    pub(crate) async fn add(&self, request: &AddCheckpoint) -> Reply {
        self.post(request.to_string()).await
    }

    pub(crate) async fn post(&self, body: impl Into<bytes::Bytes>) -> Reply {
        Request::new("POST", &self.url("/add-checkpoint")).body(body).send().await
    }

    /// What the monitoring path of a log answers.
    pub(crate) async fn monitored(&self, origin: &str) -> Reply {
        testkit::wire::get(&self.url(&format!("/{}/checkpoint", Hash::of(origin).to_hex()))).await
    }

    pub(crate) async fn stop(self) -> Result<(), Error> {
        drop(self.stop);
        self.served.await.unwrap()
    }
}
