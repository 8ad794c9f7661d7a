//! A C2SP tlog-witness: cosigns the checkpoints of configured logs, each only if it goes on from the
//! last one.
//!
//! What a cosignature promises is on disk before it leaves the process. Knows nothing of leaves.

mod error;
mod judge;
mod key_file;
mod listen;
mod logs;
mod service;
mod store;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tlog::VerifierKey;
use tokio::net::TcpListener;

pub use self::error::Error;
pub use self::logs::{Log, Logs};
use self::service::Service;
use self::store::Store;
pub use self::time::{ClockError, Now};

/// What a witness is run with.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens; plain HTTP/1.1, for a proxy with TLS in front.
    pub listener: TcpListener,
    /// Connections at one time; more wait.
    pub connections: u32,
    /// What it has cosigned, made by [`create`].
    pub database: PathBuf,
    /// Its key in the form `PRIVATE+KEY+…`, made by [`create`].
    pub key_file: PathBuf,
    /// Whose checkpoints it cosigns.
    pub logs: Logs,
    /// The time of its cosignatures.
    pub now: Now,
}

/// Makes key and database of a new witness called `name`, both readable by this user only.
///
/// A witness that forgot what it cosigned would cosign another history, so nothing is made over the
/// remains of one, and [`Witness::open`] makes nothing.
///
/// # Errors
///
/// [`Error::Exists`] when either is there, [`Error::Name`], [`Error::File`], [`Error::Store`].
pub fn create(database: &Path, key_file: &Path, name: &str) -> Result<VerifierKey, Error> {
    for path in [database, key_file] {
        if path.try_exists().unwrap_or(true) {
            return Err(Error::Exists { path: path.to_owned() });
        }
    }
    let key = key_file::generate(name)?;
    // The key comes last: with the database alone a second try says what is in the way.
    store::create(database)?;
    key_file::write(key_file, &key)?;
    Ok(key.verifier())
}

/// A witness whose key and memory are open, and that answers nobody yet.
pub struct Witness {
    listener: TcpListener,
    connections: u32,
    service: Arc<Service>,
}

impl Witness {
    /// Opens key and memory.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] and [`Error::Store`].
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let Settings { listener, connections, database, key_file, logs, now } = settings;
        let key = key_file::read(&key_file)?;
        let store = Store::open(&database)?;
        tracing::info!(vkey = %key.verifier(), logs = logs.len(), "witness is ready");
        Ok(Self { listener, connections, service: Arc::new(Service::new(key, store, logs, now)) })
    }

    /// Serves until `stop` resolves, then lets open answers finish.
    ///
    /// # Errors
    ///
    /// [`Error::Doubtful`] when it is not known whether a promise is on disk, after which only a new start may sign.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { listener, connections, service } = self;
        let handle = {
            let service = Arc::clone(&service);
            move |request| {
                let service = Arc::clone(&service);
                async move { service.answer(request).await }
            }
        };
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = service.doubtful() => {}
            }
        };
        listen::serve(listener, connections, handle, stop).await;
        service.end()
    }
}

/// Opens a witness and runs it.
///
/// # Errors
///
/// As [`Witness::open`] and [`Witness::run`].
pub async fn serve(settings: Settings, stop: impl Future<Output = ()>) -> Result<(), Error> {
    Witness::open(settings)?.run(stop).await
}
