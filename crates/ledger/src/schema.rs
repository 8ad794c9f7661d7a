//! The tables of `ledger.db`, how a connection is set up, and how an older database becomes a current one.
//! It must not know what the rows mean; `store` reads and writes them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::backup;
use crate::error::{Doing, Error, OpenError};

/// Name of the database in the data directory.
pub(crate) const DATABASE_FILE: &str = "ledger.db";
/// "tlog" in ASCII, so that `file` and SQLite's own tools can tell whose database this is.
const APPLICATION_ID: i32 = 0x746c_6f67;
/// Statements kept prepared per connection; more than the crate has.
const STATEMENTS: usize = 64;

/// Each entry brings a database from the version of its position to the next.
pub(crate) const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2, VERSION_3, VERSION_4];

/// Full tiles only: a partial tile is a prefix of the current one. `tags` is what decides first-seen; `changes` are a
/// key's leaves after its first. A row of `manifest_names` with `fetched` 0 says that an index kept under this name
/// names the digest, with 1 that its bytes were fetched under this name and may be served under it.
const VERSION_1: &str = "
    CREATE TABLE head (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        origin TEXT NOT NULL,
        vkey TEXT NOT NULL,
        size INTEGER NOT NULL,
        root BLOB NOT NULL,
        note TEXT NOT NULL
    ) STRICT;
    CREATE TABLE entries (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;
    CREATE TABLE tiles (
        level INTEGER NOT NULL,
        idx INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (level, idx)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE tags (
        key BLOB PRIMARY KEY,
        idx INTEGER NOT NULL,
        first_idx INTEGER NOT NULL,
        had_tag INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changes (
        key BLOB NOT NULL,
        idx INTEGER NOT NULL,
        PRIMARY KEY (key, idx)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE moves (
        key BLOB NOT NULL,
        recorded BLOB NOT NULL,
        seen BLOB NOT NULL,
        PRIMARY KEY (key, recorded, seen)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE manifests (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        media_type TEXT NOT NULL,
        bytes BLOB NOT NULL,
        kept INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE manifest_names (
        digest BLOB NOT NULL,
        name TEXT NOT NULL,
        fetched INTEGER NOT NULL,
        PRIMARY KEY (digest, name)
    ) STRICT, WITHOUT ROWID;
";

/// `checkpoints` are those that somebody has cosigned, with the log's own signatures; a line of `cosignatures` stands
/// under the cosigner's name and key id. `log_keys` are the keys that may sign besides the one the log was made with.
const VERSION_2: &str = "
    CREATE TABLE checkpoints (
        size INTEGER PRIMARY KEY,
        root BLOB NOT NULL,
        note TEXT NOT NULL
    ) STRICT;
    CREATE TABLE cosignatures (
        size INTEGER NOT NULL,
        cosigner TEXT NOT NULL,
        time INTEGER NOT NULL,
        line TEXT NOT NULL,
        PRIMARY KEY (size, cosigner)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE log_keys (vkey TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

/// `idx` is the earliest leaf that recorded the digest under that name, or an index that names it; NULL where it was
/// recorded before this version.
const VERSION_3: &str = "ALTER TABLE manifest_names ADD COLUMN idx INTEGER;";

/// What is known of records from elsewhere, by their leaf, and what is about to be recorded.
const VERSION_4: &str = "
    CREATE TABLE evidence (idx INTEGER PRIMARY KEY, document BLOB NOT NULL) STRICT;
    CREATE TABLE evidence_ids (
        id BLOB NOT NULL,
        idx INTEGER NOT NULL,
        PRIMARY KEY (id, idx)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pending (
        key BLOB PRIMARY KEY,
        digest BLOB NOT NULL,
        prepared BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The one writer.
    Write,
    /// One of the readers; SQLite itself refuses writes.
    Read,
}

/// Opens an existing database file; never makes one.
pub(crate) fn connect(path: &Path, access: Access) -> Result<Connection, Error> {
    let mode = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .doing("open the database")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(Duration::from_secs(5)).doing("set up the connection")?;
    connection
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
        .doing("set up the connection")?;
    if access == Access::Write {
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
                 PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384;",
            )
            .doing("set up the connection")?;
    }
    Ok(connection)
}

/// Makes a database file that must not exist yet, with empty tables, readable by this user only.
pub(crate) fn create(path: &Path) -> Result<Connection, Error> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|source| Error::File {
        doing: "create",
        path: path.to_owned(),
        source,
    })?;
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).doing("create the database")?;
    connection
        .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA synchronous = FULL;"))
        .doing("create the database")?;
    for (version, step) in (1..).zip(MIGRATIONS) {
        advance(&connection, version, step)?;
    }
    Ok(connection)
}

/// Brings the database of `connection` to the newest of `migrations`; a copy is made beside it before the first step.
///
/// # Errors
/// A database of a newer version or of another program is refused untouched.
pub(crate) fn migrate(connection: &Connection, path: &Path, migrations: &[&str]) -> Result<(), OpenError> {
    let (found, newest) = versions(connection, path, migrations)?;
    if found == newest {
        return Ok(());
    }
    let copy = backup_before(path, found);
    // A copy left by an interrupted migration is of the same version and as good.
    if !copy.exists() {
        backup::copy(connection, &copy)?;
    }
    tracing::info!(from = found, to = newest, copy = %copy.display(), "migrating the database");
    let done = usize::try_from(found).unwrap_or(0);
    for (version, step) in (1..).zip(migrations).skip(done) {
        advance(connection, version, step)?;
    }
    Ok(())
}

/// Checks that the database of `connection` can be read as it is.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let (found, newest) = versions(connection, path, MIGRATIONS)?;
    if found == newest {
        Ok(())
    } else {
        Err(OpenError::OlderSchema { path: path.to_owned(), found, newest })
    }
}

/// The version of the database and the newest one of `migrations`.
fn versions(connection: &Connection, path: &Path, migrations: &[&str]) -> Result<(i32, i32), OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if pragma("application_id").doing("read the application id")? != APPLICATION_ID {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    let found = pragma("user_version").doing("read the schema version")?;
    let newest = i32::try_from(migrations.len()).unwrap_or(i32::MAX);
    if found > newest {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, newest });
    }
    Ok((found, newest))
}

fn advance(connection: &Connection, version: i32, step: &str) -> Result<(), Error> {
    connection
        .execute_batch(&format!("BEGIN IMMEDIATE; {step} PRAGMA user_version = {version}; COMMIT;"))
        .doing("migrate the database")
}

fn backup_before(path: &Path, version: i32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".before-migration-of-version-{version}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_database_of_a_newer_version_is_refused_untouched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DATABASE_FILE);
        let connection = create(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&connection, &path, MIGRATIONS).unwrap_err();
        assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }), "{error}");
        assert_eq!(version(&connection), 99);
    }

    #[test]
    fn a_migration_copies_the_database_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DATABASE_FILE);
        let connection = create(&path).unwrap();
        connection.execute("INSERT INTO entries VALUES (0, x'00')", ()).unwrap();
        let (before, after) = (version(&connection), version(&connection) + 1);
        let migrations =
            [MIGRATIONS, &["DELETE FROM entries; CREATE TABLE more (id INTEGER) STRICT;"]].concat();
        migrate(&connection, &path, &migrations).unwrap();
        assert_eq!(version(&connection), after);
        let count = "SELECT count(*) FROM entries";
        assert_eq!(connection.query_row(count, (), |row| row.get::<_, i64>(0)).unwrap(), 0);
        let copy = Connection::open(backup_before(&path, before)).unwrap();
        assert_eq!(version(&copy), before);
        assert_eq!(copy.query_row(count, (), |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_failed_step_leaves_the_version_it_started_from() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DATABASE_FILE);
        let connection = create(&path).unwrap();
        let before = version(&connection);
        let migrations = [MIGRATIONS, &["CREATE TABLE more (id INTEGER); NOT SQL;"]].concat();
        assert!(migrate(&connection, &path, &migrations).is_err());
        drop(connection);
        let connection = connect(&path, Access::Write).unwrap();
        assert_eq!(version(&connection), before);
        assert!(connection.prepare("SELECT * FROM more").is_err());
    }

    #[test]
    fn the_database_of_another_program_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DATABASE_FILE);
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE theirs (id INTEGER);").unwrap();
        assert!(matches!(migrate(&connection, &path, MIGRATIONS), Err(OpenError::NotOurs { .. })));
    }
}
