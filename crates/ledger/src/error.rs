//! Everything that can go wrong with the ledger, by what the caller asked for: reading, appending, opening, creating.
//! It must not know how an error is shown; a server maps these to answers, a command line to hints.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oci::Sha256Digest;
use taglog::{Broken, TooManyTags};

use crate::budgets::Budget;
use crate::builder::BuildError;
use crate::guard::GuardError;
use crate::lock::LockError;
use crate::record::Recorded;

/// Reading from the ledger failed. Never means "not recorded".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite reported an error.
    #[error("the ledger's database could not {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// What was read is not what the log committed to.
    #[error(
        "{what} in the database is not what the log committed to; stop the server and run `tlogistry fsck`"
    )]
    Corrupt {
        /// The row, named for a person.
        what: String,
    },
    /// The head holds the key, the published checkpoint does not cover it yet.
    #[error("`{name}` is recorded, but no published checkpoint covers it yet; ask again in a moment")]
    NotYetPublished {
        /// The tag or repository asked for.
        name: String,
    },
    /// No checkpoint has satisfied the policy yet.
    #[error("no checkpoint has the cosignatures that the policy demands yet; ask again in a moment")]
    NothingPublished,
    /// It is not known yet whether the store was rolled back.
    #[error(
        "the witnesses have not confirmed yet that this log is the newest they have seen; ask again in a moment"
    )]
    Held,
    /// A size that the log has not had, or a checkpoint that cannot be what it claims to be.
    #[error(transparent)]
    Tree(#[from] tlog::Error),
    /// More recorded tags than one proof holds.
    #[error(transparent)]
    TooManyTags(#[from] TooManyTags),
    /// The store was rolled back: what it does not hold may be recorded all the same.
    #[error(transparent)]
    ReadOnly(#[from] ReadOnly),
    /// A file beside the database could not be written or read.
    #[error("could not {doing} `{}`", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The rollback guard could not be written.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The checkpoint could not be signed.
    #[error("the checkpoint could not be signed")]
    Sign(#[source] tlog::Error),
    /// SQLite ended a backup before its last page.
    #[error("the backup did not reach its last page, because the database was busy; try again")]
    BackupIncomplete,
}

/// Why a ledger serves what it holds but records and signs nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadOnly {
    /// The log key is not there.
    #[error("the log key `{}` is missing: recorded tags are served, nothing new is recorded; put the key back and restart", .path.display())]
    KeyMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The rollback guard is not there.
    #[error("the rollback guard `{}` is missing: recorded tags are served, nothing new is recorded; put the file (or its volume) back and restart, or, if it is lost for good, rebuild with `tlogistry restore --from EXPORT|URL --guard-lost`", .path.display())]
    GuardMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The rollback guard is there and unreadable.
    #[error("the rollback guard `{}` is damaged: recorded tags are served, nothing new is recorded; rebuild with `tlogistry restore --from EXPORT|URL --guard-lost`", .path.display())]
    GuardDamaged {
        /// The guard file.
        path: PathBuf,
    },
    /// The guard remembers a longer log than the database holds.
    #[error(
        "the log was ROLLED BACK: its database holds {head} leaves, but {guard} were committed; recorded tags are served, nothing is signed; rebuild with `tlogistry restore --from EXPORT|URL`"
    )]
    RolledBack {
        /// Leaves in the database.
        head: u64,
        /// Leaves the guard remembers.
        guard: u64,
    },
    /// The guard remembers another tree of the same size.
    #[error(
        "the log was ROLLED BACK: the first {size} leaves in its database are not the {size} leaves that were committed; recorded tags are served, nothing is signed; rebuild with `tlogistry restore --from EXPORT|URL`"
    )]
    Forked {
        /// Leaves in the database.
        size: u64,
    },
    /// The log ended with a `close` leaf.
    #[error(
        "the log is closed: recorded tags are served, nothing new is recorded; `tlogistry init --successor-of DIR` makes the log that continues the one in DIR"
    )]
    Closed,
}

impl ReadOnly {
    /// Whether the database may lack leaves that were committed; then it proves nothing, least of all absence.
    pub fn is_rollback(&self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Forked { .. })
    }
}

/// A clock that cannot be right: nothing is recorded under a time that nobody could believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// More than five minutes behind the last leaf.
    #[error("the clock reads {now}, but the last leaf was recorded at {last}; set the clock right")]
    Behind {
        /// Unix seconds of the clock.
        now: u64,
        /// Unix seconds of the last leaf.
        last: u64,
    },
    /// More than a day away from the `Date` of the upstream answer.
    #[error("the clock reads {now}, but upstream's answer is dated {upstream}; set the clock right")]
    FarFromUpstream {
        /// Unix seconds of the clock.
        now: u64,
        /// Unix seconds of the answer's `Date`.
        upstream: i64,
    },
    /// Beyond what a leaf can say (the year 2286).
    #[error("the clock reads {now}, which is beyond what a leaf can say; set the clock right")]
    Beyond {
        /// Unix seconds of the clock.
        now: u64,
    },
}

/// An append that recorded nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full.
    #[error("the ledger is busy; try again in {} ms", .retry_after.as_millis())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too little room on the volume of the data directory.
    #[error("the disk is too full to record anything new: {free} bytes are free, `min_free` is {min_free}")]
    DiskFull {
        /// Bytes free.
        free: u64,
        /// `[limits] min_free`.
        min_free: u64,
    },
    /// Nothing is signed until the witnesses have been asked.
    #[error("the ledger records nothing until its witnesses confirm that they have seen no longer log; try again in {} ms", .retry_after.as_millis())]
    Held {
        /// When to try again.
        retry_after: Duration,
    },
    /// What was appended is durable and means what it says, but no published checkpoint covers it yet.
    #[error("leaf {index} is recorded, but no published checkpoint covers it yet; try again in a moment")]
    NotYetPublished {
        /// The leaf.
        index: u64,
    },
    /// A daily budget is spent.
    #[error("the budget `{}` = {limit} is spent for today; it returns in {} s", .budget.name(), .retry_after.as_secs())]
    Budget {
        /// Which one.
        budget: Budget,
        /// Its limit.
        limit: u64,
        /// Until the next UTC day.
        retry_after: Duration,
    },
    /// A document about a record is larger than [`MAX_EVIDENCE`](crate::MAX_EVIDENCE).
    #[error("the evidence of a record is larger than 1 MiB")]
    EvidenceTooLarge,
    /// What is needed to go on with a record is larger than [`MAX_PREPARED`](crate::MAX_PREPARED).
    #[error("what was signed for a record is larger than 64 KiB, so it is not kept and goes nowhere")]
    PreparedTooLarge,
    /// Another digest was about to be recorded, and may have been said in public.
    #[error(
        "`{name}` is about to mean `{digest}`, which was signed for Rekor and may be there already; with `[sigstore] mode = \"per-tag\"` for its registry that is finished, and nothing else is recorded before"
    )]
    Begun {
        /// The tag.
        name: String,
        /// What it is about to mean.
        digest: Sha256Digest,
    },
    /// The clock cannot be right.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The ledger is read-only.
    #[error(transparent)]
    ReadOnly(#[from] ReadOnly),
    /// The ledger was closed, or ended after an unknown COMMIT.
    #[error("the ledger has stopped and records nothing more; restart the server")]
    Stopped,
    /// The batch was not committed; whether it was is settled before anything else is recorded.
    #[error("the ledger could not record this; try again in a moment")]
    Store(#[source] Arc<Error>),
    /// Leaf 0 says `supersede=never`.
    #[error("this log was created with `supersede=never`: no record of it can ever be changed")]
    Forbidden,
    /// A `supersede` or `thaw` does not name the current digest of a frozen (or thawed) tag.
    #[error("that is not the digest `{name}` is recorded with{}", currently(.current))]
    NotCurrent {
        /// The tag.
        name: String,
        /// Its current record, if it has one.
        current: Option<Arc<Recorded>>,
    },
}

fn currently(current: &Option<Arc<Recorded>>) -> String {
    match current {
        Some(record) => format!("; it is `{}` since leaf {}", record.digest(), record.index()),
        None => "; it is not recorded at all".to_owned(),
    }
}

/// Cosignatures that could not be taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CosignError {
    /// Not the size of a checkpoint that this log has signed.
    #[error("this log has signed no checkpoint of size {size}")]
    NotSigned {
        /// The size.
        size: u64,
    },
    /// They could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not be read; what was stored before that stays.
    #[error("the cosigned checkpoint could not be read back")]
    Read(#[source] Arc<Error>),
}

impl From<Error> for CosignError {
    fn from(error: Error) -> Self {
        Self::Read(Arc::new(error))
    }
}

/// A ledger that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open, or the directory cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is no log here.
    #[error("there is no log in `{}`; make one with `tlogistry init`", .data_dir.display())]
    NoLog {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The database is gone while its key or guard is there.
    #[error("`{}` is missing although the {beside} of its log can be found: is the volume of the data directory mounted? A new history is never begun in its place; restore it with `tlogistry restore --from EXPORT|URL`", .path.display())]
    DatabaseMissing {
        /// The database file.
        path: PathBuf,
        /// What is there: key, guard or both.
        beside: &'static str,
    },
    /// The file is no ledger.
    #[error("`{}` is not a database of tlogistry", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error("`{}` has schema version {found}, this program knows {newest}: run the newer program again", .path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The newest this program knows.
        newest: i32,
    },
    /// The file was written by an older version, and was only to be read.
    #[error("`{}` has schema version {found}, this program knows {newest}: start the server once, which migrates it", .path.display())]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The newest this program knows.
        newest: i32,
    },
    /// The configuration names another log.
    #[error(
        "the log in this data directory is `{stored}` for ever, but the configuration says `{configured}`; correct `[log] origin`"
    )]
    OriginDiffers {
        /// What the log was created as.
        stored: String,
        /// What the options say.
        configured: String,
    },
    /// The key file is there and is not the key of this log.
    #[error("`{}` holds the key of another log: this log's is `{expected}`", .path.display())]
    OtherKey {
        /// The key file.
        path: PathBuf,
        /// The log's verifier key.
        expected: String,
    },
    /// The key file cannot be read or parsed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The guard cannot be used, other than by being missing or damaged.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A check of the start failed.
    #[error("the log in `{}` does not hold together: {why}; run `tlogistry fsck`, which says what is wrong", .path.display())]
    Inconsistent {
        /// The database file.
        path: PathBuf,
        /// Which check failed.
        why: String,
    },
    /// The database could not be read.
    #[error("the log could not be opened; run `tlogistry fsck`, which says what is wrong")]
    Store(#[from] Error),
    /// The policies for publishing cannot be followed.
    #[error("the policy for publishing checkpoints cannot be followed: {why}")]
    Publication {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The sequencer's thread could not be started.
    #[error("cannot start the sequencer")]
    Thread(#[source] io::Error),
}

/// A log that could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Another process has the directory, or it cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Something of a log is there already.
    #[error("`{}` exists already: a log is never made over the remains of another; move it away if it is not needed", .path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// No origin was given.
    #[error("a new log needs a name: set `[log] origin`, for instance `tlog.example/log`")]
    OriginMissing,
    /// The origin is none.
    #[error(
        "`{origin}` cannot name a log: 1 to 255 printable ASCII characters without space and `+`, as `tlog.example/log`"
    )]
    Origin {
        /// What was given.
        origin: String,
    },
    /// No randomness for the key.
    #[error("the operating system gave no random bytes for the log key")]
    Randomness(#[source] getrandom::Error),
    /// The guard could not be written.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A file could not be written.
    #[error("could not write `{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The log that is to be continued has not ended.
    #[error(
        "the log `{origin}` is not closed; end it with `tlogistry close` before another one continues it"
    )]
    NotClosed {
        /// Its name.
        origin: String,
    },
    /// The log that is to be continued has the name of the new one.
    #[error(
        "the closed log is called `{origin}`, and no other log ever is; give this one another name with `[log] origin`"
    )]
    SameName {
        /// The name.
        origin: String,
    },
    /// Nobody said where the second key is to be.
    #[error("the second key needs a place: set `[log] next_key_file`")]
    NextKeyUnset,
    /// The second key is there.
    #[error("`{}` exists already: a key is never overwritten; name another file with `[log] next_key_file`", .path.display())]
    KeyExists {
        /// The file.
        path: PathBuf,
    },
    /// The log that gets a second key cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record cannot be carried over, because nobody knows its manifest's type and size.
    #[error(
        "`{name}` is recorded as `{digest}`, but that manifest is not kept; pull it once by digest while the closed log is served"
    )]
    ManifestMissing {
        /// The tag.
        name: String,
        /// Its digest.
        digest: Sha256Digest,
    },
    /// What was to be written breaks a rule of the log.
    #[error("the first leaves of the new log would break its rules")]
    Rule(#[from] Broken),
    /// The database could not be written.
    #[error("the database could not be created")]
    Store(#[from] Error),
}

impl From<BuildError> for CreateError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Rule(broken) => broken.into(),
            BuildError::Store(error) => error.into(),
        }
    }
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It could not be read.
    #[error("cannot read the log key `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It is not a key in Go's private form.
    #[error("`{}` does not hold a log key (`PRIVATE+KEY+…`)", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Names what was being done when SQLite failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Store { doing, source })
    }
}
