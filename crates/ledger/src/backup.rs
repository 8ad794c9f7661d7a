//! A copy of the running database in one consistent state, through SQLite's online backup.
//! It must not know the tables, and never overwrites a file.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::disk::sync_directory_of;
use crate::error::{Doing, Error};
use crate::options::Options;
use crate::schema::{self, Access};

/// Copies the database of `options` to the new file `path`, mode 0600, in one consistent state; needs no lock, so that
/// it works beside the server that has the log open. Key and guard are not in it.
///
/// # Errors
/// Never overwrites a file. A database that is not there is [`Error::File`].
pub fn backup(options: &Options, path: &Path) -> Result<(), Error> {
    let database = options.database_path();
    std::fs::metadata(&database).map_err(|source| Error::File {
        doing: "read",
        path: database.clone(),
        source,
    })?;
    copy(&schema::connect(&database, Access::Read)?, path)
}

/// Copies the database of `from` to the new file `to` (mode 0600); durable on return.
///
/// The copy is the state at one commit: it is taken in one step, during which the writer goes on into its WAL.
///
/// # Errors
/// A file that exists already is never overwritten; what was written is removed when the copy fails.
pub(crate) fn copy(from: &Connection, to: &Path) -> Result<(), Error> {
    let failed = |doing| move |source| Error::File { doing, path: to.to_owned(), source };
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed("create"))?;
    let copied = copy_into(from, to).and_then(|()| {
        file.sync_all().map_err(failed("sync"))?;
        sync_directory_of(to).map_err(failed("sync"))
    });
    if copied.is_err()
        && let Err(error) = std::fs::remove_file(to)
    {
        tracing::warn!(path = %to.display(), %error, "cannot remove an incomplete backup");
    }
    copied
}

fn copy_into(from: &Connection, to: &Path) -> Result<(), Error> {
    let mut target =
        Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE).doing("open the backup")?;
    let backup = Backup::new(from, &mut target).doing("start the backup")?;
    match backup.step(-1).doing("copy the database")? {
        StepResult::Done => Ok(()),
        _ => Err(Error::BackupIncomplete),
    }
}
