//! What was cosigned last for each log, in SQLite: checked and stored in one transaction, on disk on
//! return.
//!
//! Keeps nothing in memory, so that what is answered is what is on disk. Decides nothing itself.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use tlog::Hash;
use tokio::sync::watch;

use super::Error;
use super::judge::Tree;
use super::key_file::sync_directory_of;

/// "tlwi" in ASCII.
const APPLICATION_ID: i32 = 0x746c_7769;
const VERSION: i32 = 1;
const SCHEMA: &str = "
    CREATE TABLE logs (
        origin TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        root BLOB NOT NULL,
        time INTEGER NOT NULL,
        note TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// The database of one witness.
#[derive(Debug)]
pub(super) struct Store {
    connection: Mutex<Connection>,
    doubtful: watch::Sender<bool>,
}

/// What a witness promises of one log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Promise {
    pub(super) tree: Tree,
    /// Unix seconds of the cosignature.
    pub(super) time: u64,
    /// The checkpoint with the signatures of log and witness.
    pub(super) note: String,
}

/// What was promised before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Held {
    pub(super) tree: Tree,
    /// Unix seconds of the newest cosignature for any log; 0 for none.
    pub(super) last: u64,
    /// The checkpoint that was cosigned last, if any was.
    pub(super) note: Option<String>,
}

/// Makes a database file that must not exist yet, readable by this user only.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { doing: "create", path: path.to_owned(), source };
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let doing = doing("create its tables");
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(doing)?;
    let sql = format!(
        "PRAGMA synchronous = FULL; PRAGMA application_id = {APPLICATION_ID};
         BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
    );
    connection.execute_batch(&sql).map_err(doing)?;
    connection.close().map_err(|(_connection, error)| doing(error))?;
    sync_directory_of(path).map_err(failed)
}

impl Store {
    /// Opens an existing database; never makes one.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        if matches!(path.try_exists(), Ok(false)) {
            return Err(Error::DatabaseMissing { path: path.to_owned() });
        }
        let doing = doing("be opened");
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(doing)?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        match (pragma("application_id"), pragma("user_version")) {
            (Ok(APPLICATION_ID), Ok(VERSION)) => {}
            _ => return Err(Error::NotOurs { path: path.to_owned() }),
        }
        connection.busy_timeout(Duration::from_secs(5)).map_err(doing)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
                 PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
            )
            .map_err(doing)?;
        Ok(Self { connection: Mutex::new(connection), doubtful: watch::Sender::new(false) })
    }

    /// Lets `promise` decide on what is held, and stores what it promises. What it gives besides is
    /// returned, and by then the promise is on disk.
    ///
    /// Nothing else can change the log between the decision and the COMMIT, in this process or another.
    ///
    /// # Errors
    ///
    /// Those of `promise`, after which nothing has changed; [`Error::Store`] likewise;
    /// [`Error::Doubtful`] when the COMMIT may or may not be on disk, and for ever after.
    pub(super) fn advance<T, E: From<Error>>(
        &self,
        origin: &str,
        promise: impl FnOnce(&Held) -> Result<(Promise, T), E>,
    ) -> Result<T, E> {
        let mut connection = self.lock();
        if *self.doubtful.borrow() {
            return Err(Error::Doubtful.into());
        }
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(doing("begin a transaction"))?;
        let (promise, answer) = promise(&held(&transaction, origin)?)?;
        insert(&transaction, origin, &promise).map_err(doing("store a checkpoint"))?;
        transaction.commit().map_err(|error| {
            if undone(&error) {
                return doing("store a checkpoint")(error);
            }
            tracing::error!(%error, "a COMMIT may or may not be on disk");
            self.doubtful.send_replace(true);
            Error::Doubtful
        })?;
        Ok(answer)
    }

    /// The checkpoint that was cosigned last.
    pub(super) fn checkpoint(&self, origin: &str) -> Result<Option<String>, Error> {
        Ok(held(&self.lock(), origin)?.note)
    }

    /// Whether nothing may be signed any more.
    pub(super) fn is_doubtful(&self) -> bool {
        *self.doubtful.borrow()
    }

    /// Resolves when nothing may be signed any more.
    pub(super) async fn doubtful(&self) {
        // The sender lives as long as this future.
        let mut doubtful = self.doubtful.subscribe();
        let _closed = doubtful.wait_for(|doubtful| *doubtful).await;
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held(connection: &Connection, origin: &str) -> Result<Held, Error> {
    let doing = doing("read a checkpoint");
    let row = connection
        .query_row("SELECT size, root, note FROM logs WHERE origin = ?", [origin], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
        })
        .optional()
        .map_err(doing)?;
    let last: i64 = connection
        .query_row("SELECT coalesce(max(time), 0) FROM logs", (), |row| row.get(0))
        .map_err(doing)?;
    let corrupt = || Error::Corrupt { origin: origin.to_owned() };
    let last = u64::try_from(last).map_err(|_negative| corrupt())?;
    let Some((size, root, note)) = row else {
        return Ok(Held { tree: Tree::EMPTY, last, note: None });
    };
    let size = u64::try_from(size).map_err(|_negative| corrupt())?;
    let root = Hash::try_from(root.as_slice()).map_err(|_length| corrupt())?;
    Ok(Held { tree: Tree { size, root }, last, note: Some(note) })
}

fn insert(connection: &Connection, origin: &str, promise: &Promise) -> rusqlite::Result<()> {
    let Promise { tree, time, note } = promise;
    // Numbers beyond SQLite's are an error here, not another number.
    connection
        .execute(
            "INSERT INTO logs (origin, size, root, time, note) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (origin) DO UPDATE
             SET size = excluded.size, root = excluded.root, time = excluded.time, note = excluded.note",
            params![origin, i64_of(tree.size)?, tree.root.as_bytes(), i64_of(*time)?, note],
        )
        .map(drop)
}

fn i64_of(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Whether a failed COMMIT is known to have changed nothing.
fn undone(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
}

fn doing(doing: &'static str) -> impl Fn(rusqlite::Error) -> Error + Copy {
    move |source| Error::Store { doing, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    fn new() -> (tempfile::TempDir, PathBuf, Store) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness.db");
        create(&path).unwrap();
        let store = Store::open(&path).unwrap();
        (directory, path, store)
    }

    fn promise(size: u64) -> Promise {
        Promise {
            tree: Tree { size, root: Hash::of(size.to_be_bytes()) },
            time: 100 + size,
            note: format!("{size}\n"),
        }
    }

    fn advance(store: &Store, origin: &str, size: u64) -> Held {
        store.advance::<_, Error>(origin, |held| Ok((promise(size), held.clone()))).unwrap()
    }

    #[test]
    fn a_promise_is_on_disk_before_anybody_hears_of_it() {
        let (_directory, path, store) = new();
        advance(&store, "a/log", 3);
        // What a crash at this moment would leave behind.
        let crash = tempfile::tempdir().unwrap();
        for file in ["witness.db", "witness.db-wal"] {
            std::fs::copy(path.with_file_name(file), crash.path().join(file)).unwrap();
        }
        let after = Store::open(&crash.path().join("witness.db")).unwrap();
        assert_eq!(after.checkpoint("a/log").unwrap().as_deref(), Some("3\n"));
        assert_eq!(advance(&after, "a/log", 4).tree, promise(3).tree);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let (_directory, _path, store) = new();
        advance(&store, "a/log", 3);
        let refused =
            store.advance::<(), Error>("a/log", |_| Err(Error::Corrupt { origin: "refused".to_owned() }));
        assert!(matches!(refused, Err(Error::Corrupt { .. })));
        assert_eq!(store.checkpoint("a/log").unwrap().as_deref(), Some("3\n"));
    }

    #[test]
    fn logs_are_apart_and_share_the_last_time() {
        let (_directory, _path, store) = new();
        assert_eq!(advance(&store, "a/log", 9), Held { tree: Tree::EMPTY, last: 0, note: None });
        assert_eq!(advance(&store, "b/log", 3), Held { tree: Tree::EMPTY, last: 109, note: None });
        let held = advance(&store, "b/log", 4);
        assert_eq!(held, Held { tree: promise(3).tree, last: 109, note: Some("3\n".to_owned()) });
    }

    #[test]
    fn a_full_disk_is_an_error_that_promises_nothing_and_passes() {
        let (_directory, _path, store) = new();
        advance(&store, "a/log", 3);
        let limit = |pages: i64| {
            let set = format!("PRAGMA max_page_count = {pages}");
            store.lock().query_row(&set, (), |row| row.get::<_, i64>(0)).unwrap()
        };
        limit(1);
        let long = Promise { note: "x".repeat(60_000), ..promise(4) };
        let full = store.advance::<_, Error>("a/log", |_| Ok((long.clone(), ())));
        assert!(matches!(full, Err(Error::Store { .. })), "{full:?}");
        assert!(!store.is_doubtful());
        limit(1_000_000);
        assert_eq!(advance(&store, "a/log", 4).tree, promise(3).tree);
    }

    #[test]
    fn after_a_doubtful_commit_nothing_is_promised() {
        let (_directory, _path, store) = new();
        store.doubtful.send_replace(true);
        let refused = store.advance::<_, Error>("a/log", |_| Ok((promise(1), ())));
        assert!(matches!(refused, Err(Error::Doubtful)));
        let code = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        assert!(undone(&code(rusqlite::ffi::SQLITE_FULL)) && undone(&code(rusqlite::ffi::SQLITE_BUSY)));
        assert!(!undone(&code(rusqlite::ffi::SQLITE_IOERR_FSYNC)));
    }

    #[test]
    fn a_size_that_the_database_cannot_hold_is_an_error() {
        let (_directory, _path, store) = new();
        assert!(matches!(
            store.advance::<_, Error>("a/log", |_| Ok((promise(u64::MAX - 100), ()))),
            Err(Error::Store { .. })
        ));
        assert_eq!(store.checkpoint("a/log").unwrap(), None);
    }

    #[test]
    fn a_database_is_made_once_and_only_this_user_reads_it() {
        let (directory, path, _store) = new();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(create(&path), Err(Error::File { .. })));
        let missing = directory.path().join("other.db");
        assert!(matches!(Store::open(&missing), Err(Error::DatabaseMissing { .. })));
        assert!(!missing.exists());
    }

    #[test]
    fn the_database_of_another_program_or_version_is_refused() {
        let (directory, path, store) = new();
        store.lock().pragma_update(None, "user_version", 2).unwrap();
        drop(store);
        assert!(matches!(Store::open(&path), Err(Error::NotOurs { .. })));
        let theirs = directory.path().join("theirs.db");
        Connection::open(&theirs).unwrap().execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
        assert!(matches!(Store::open(&theirs), Err(Error::NotOurs { .. })));
        let text = directory.path().join("text.db");
        std::fs::write(&text, "not a database".repeat(100)).unwrap();
        assert!(matches!(Store::open(&text), Err(Error::NotOurs { .. })));
    }
}
