//! Exporting a log that another process may have open: its published checkpoint, read without a lock. It must not write
//! to the data directory, and exports nothing that has not reached the guard.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::cosignatures;
use crate::creation::{absent, presence};
use crate::error::{Error, OpenError, ReadOnly};
use crate::export::{self, ExportError, Exported, Source};
use crate::guard::Guard;
use crate::keys::Keys;
use crate::options::Options;
use crate::published::with_lines;
use crate::readers::Readers;
use crate::recovery::edge_at;
use crate::schema::{self, Access};
use crate::store::{self, CheckpointRow, corrupt};
use crate::view::newest_satisfying;

/// How often the guard is looked at again before giving up, and how long to wait in between: a running server writes it
/// right after each commit.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Writes the published log of the data directory of `options` into `directory` as static files, or brings an older
/// export up to date. A server may have the log open. `progress` is told how many of how many files are done.
///
/// # Errors
/// [`ExportError`]; the directory still holds the log it held before.
pub fn export(
    options: &Options,
    directory: &Path,
    progress: impl FnMut(u64, u64),
) -> Result<Exported, ExportError> {
    let path = options.database_path();
    if !presence(options).database {
        return Err(absent(options).into());
    }
    let connection = schema::connect(&path, Access::Read)?;
    schema::check(&connection, &path)?;
    let cosigners = options.publication.cosigners()?;
    let (keys, head) = guarded_head(options, &connection)?;
    let (row, cosignatures) = if options.publication.is_immediate() {
        let cosignatures = match store::checkpoint(&connection, head.size)? {
            Some(row) => cosignatures::of_checkpoint(&connection, keys.own().name(), &row, &cosigners)?,
            None => Vec::new(),
        };
        (head, cosignatures)
    } else {
        let policy = options.publication.witnesses.as_ref().ok_or(Error::NothingPublished)?;
        newest_satisfying(&connection, policy, &cosigners, &keys, 0..=head.size)?
            .ok_or(Error::NothingPublished)?
    };
    let tree = edge_at(&connection, row.size)?;
    if tree.frontier().map_err(Error::from)?.root() != row.root {
        return Err(corrupt("the right edge of the published tree").into());
    }
    let note = with_lines(&row.note, &cosignatures::lines(&cosignatures), &options.randomness);
    let readers = Readers::new(path);
    let source = Source { note: &note, root: row.root, tree: &tree, keys: &keys, readers: &readers };
    export::write(&source, directory, progress)
}

/// The head, once the guard remembers it. A log without an intact guard is served as it is, so it is exported as well.
fn guarded_head(options: &Options, connection: &Connection) -> Result<(Keys, CheckpointRow), ExportError> {
    for _ in 0..TRIES {
        let head = store::head(connection)?;
        let keys = Keys::stored(connection, &head)?.filter(|keys| keys.have_signed(&head));
        let keys = keys.ok_or_else(|| corrupt("the head"))?;
        let guarded = match Guard::open(&options.guard_path(), &keys.identities()) {
            Err(crate::guard::GuardError::Missing { .. } | crate::guard::GuardError::Damaged { .. }) => {
                head.size
            }
            Err(error) => return Err(OpenError::from(error).into()),
            Ok((_, mark)) if mark.size == head.size && mark.root != head.root => {
                return Err(ReadOnly::Forked { size: mark.size }.into());
            }
            Ok((_, mark)) => mark.size,
        };
        if guarded == head.size {
            let note = keys.own_lines(&head.note)?;
            return Ok((keys, CheckpointRow { size: head.size, root: head.root, note }));
        }
        // A guard that is ahead may belong to a commit that was made since the head was read.
        if guarded > head.size && store::head(connection)?.size < guarded {
            return Err(ReadOnly::RolledBack { head: head.size, guard: guarded }.into());
        }
        std::thread::sleep(PAUSE);
    }
    Err(ExportError::Unguarded)
}
