//! What the caller decides about a ledger: where its files are, what it is called, its limits, its clock.
//! It must not know how the ledger works.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use taglog::SupersedeRule;

use crate::budgets::Budgets;
use crate::clock::Clock;
use crate::disk::FreeSpace;
use crate::fault::Faults;
use crate::publication::Publication;
use crate::randomness::Randomness;
use crate::schema::DATABASE_FILE;

/// Name of the log key in the data directory, where no other file is configured.
const KEY_FILE: &str = "log.key";
/// Name of the rollback guard in the data directory, where no other file is configured.
const GUARD_FILE: &str = "guard";

/// Everything a ledger is opened or created with. `Options::new(dir)` has the defaults; set the fields that differ.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of the database, made by the operator; held under an exclusive lock.
    pub data_dir: PathBuf,
    /// The rollback guard; default `<data_dir>/guard`. Best on a volume that is not restored together with the data.
    pub guard_file: Option<PathBuf>,
    /// The log key; default `<data_dir>/log.key`.
    pub key_file: Option<PathBuf>,
    /// A second log key during a planned change: both sign each checkpoint, until the second one takes the place of the
    /// first in `key_file`. Whoever trusts either of them accepts the log meanwhile.
    pub next_key_file: Option<PathBuf>,
    /// What the log is called. Needed to create one; when opening, `None` takes what it was created with and
    /// anything else must be the same.
    pub origin: Option<String>,
    /// What leaf 0 of a new log says for ever; an existing log keeps what its leaf 0 says.
    pub supersede: SupersedeRule,
    /// `[limits]`.
    pub limits: Budgets,
    /// When a checkpoint is published, and whose cosignatures are collected.
    pub publication: Publication,
    /// Sign nothing after the start until [`Ledger::release`](crate::Ledger::release): for a log with witnesses, which
    /// are asked first whether they have seen a longer one.
    pub hold_until_released: bool,
    /// The time.
    pub clock: Clock,
    /// Random bytes that are no secret.
    pub randomness: Randomness,
    /// Free bytes of the volume.
    pub free_space: FreeSpace,
    /// Bytes of manifests kept in memory.
    pub manifest_cache: usize,
    /// Submissions that may wait for the sequencer; more are refused as busy.
    pub queue: usize,
    /// Called when a COMMIT is in doubt, after logging; must not return in production (the default aborts).
    /// The ledger records nothing more afterwards.
    pub on_fatal: OnFatal,
    /// Faults to inject; does nothing without the feature `fault`.
    pub faults: Faults,
}

impl Options {
    /// The defaults of the design, for the log in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            guard_file: None,
            key_file: None,
            next_key_file: None,
            origin: None,
            supersede: SupersedeRule::Operator,
            limits: Budgets::default(),
            publication: Publication::default(),
            hold_until_released: false,
            clock: Clock::system(),
            randomness: Randomness::system(),
            free_space: FreeSpace::system(),
            manifest_cache: 64 << 20,
            queue: 4096,
            on_fatal: OnFatal::abort(),
            faults: Faults::default(),
        }
    }

    /// Where the database is.
    pub fn database_path(&self) -> PathBuf {
        self.data_dir.join(DATABASE_FILE)
    }

    /// Where SQLite keeps what is not in the database yet.
    pub(crate) fn write_ahead_log_path(&self) -> PathBuf {
        let mut name = self.database_path().into_os_string();
        name.push("-wal");
        name.into()
    }

    /// Where the log key is.
    pub fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data_dir.join(KEY_FILE))
    }

    /// Where the rollback guard is.
    pub fn guard_path(&self) -> PathBuf {
        self.guard_file.clone().unwrap_or_else(|| self.data_dir.join(GUARD_FILE))
    }
}

/// What ends the process when a COMMIT is in doubt.
#[derive(Clone)]
pub struct OnFatal(Arc<dyn Fn(&str) + Send + Sync>);

impl OnFatal {
    /// Calls `end` with the reason.
    pub fn new(end: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(end))
    }

    /// Ends the process at once; the next start reads what is really on disk.
    pub fn abort() -> Self {
        Self::new(|_| std::process::abort())
    }

    pub(crate) fn call(&self, why: &str) {
        (self.0)(why);
    }
}

impl fmt::Debug for OnFatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFatal")
    }
}
