//! Making a key, a guard and a log of size 2 where nothing of a log is; and telling what is there already.
//! It must not decide whether a log should be made: a command does, or a server by its own rule.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use taglog::{Leaf, TagMap};
use tlog::{VerifierKey, leaf_hash};

use crate::disk::sync_directory_of;
use crate::edge::Edge;
use crate::error::{CreateError, Doing, Error, OpenError};
use crate::guard::{Guard, Mark};
use crate::lock::DirectoryLock;
use crate::options::Options;
use crate::recovery::identity;
use crate::schema;
use crate::signer::Signer;
use crate::store::{self, HeadRow};

/// Which parts of a log exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The log key.
    pub key: bool,
    /// The rollback guard.
    pub guard: bool,
    /// The database.
    pub database: bool,
}

impl Presence {
    /// Whether nothing of a log is there, so that making one destroys and forks nothing.
    pub fn is_none(self) -> bool {
        !self.key && !self.guard && !self.database
    }
}

/// Looks for the parts of a log. What cannot be looked at counts as present: on doubt nothing is made.
pub fn presence(options: &Options) -> Presence {
    let exists = |path: &Path| path.try_exists().unwrap_or(true);
    Presence {
        key: exists(&options.key_path()),
        guard: exists(&options.guard_path()),
        database: exists(&options.database_path()),
    }
}

/// What a missing database means: no log at all, or one whose database is gone while the rest of it is there.
pub(crate) fn absent(options: &Options) -> OpenError {
    let present = presence(options);
    let beside = match (present.key, present.guard) {
        (false, false) => return OpenError::NoLog { data_dir: options.data_dir.clone() },
        (true, true) => "key and guard",
        (true, false) => "key",
        (false, true) => "guard",
    };
    OpenError::DatabaseMissing { path: options.database_path(), beside }
}

/// Makes the log: key (mode 0600), guard, and a database of size 2, which holds the rules and the index of nothing.
///
/// The database gets its name last, so that an interrupted creation leaves no log that looks whole.
pub(crate) fn create(options: &Options) -> Result<VerifierKey, CreateError> {
    let origin = options.origin.clone().ok_or(CreateError::OriginMissing)?;
    if !is_origin(&origin) {
        return Err(CreateError::Origin { origin });
    }
    let directory = &options.data_dir;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CreateError::File { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    let _lock = DirectoryLock::acquire(directory)?;
    let (database, key, guard) = (options.database_path(), options.key_path(), options.guard_path());
    let present = presence(options);
    for (there, path) in [(present.database, &database), (present.key, &key), (present.guard, &guard)] {
        if there {
            return Err(CreateError::Exists { path: path.clone() });
        }
    }
    let signer = Signer::generate(&origin)?;
    let unfinished = directory.join("ledger.db.unfinished");
    if unfinished.try_exists().map_err(failed(&unfinished))? {
        fs::remove_file(&unfinished).map_err(failed(&unfinished))?;
    }
    let mark = write_database(&unfinished, options, &origin, &signer)?;
    Guard::create(&guard, identity(&signer.verifier()), mark)?;
    signer.write(&key).map_err(failed(&key))?;
    fs::rename(&unfinished, &database).map_err(failed(&database))?;
    sync_directory_of(&database).map_err(failed(&database))?;
    Ok(signer.verifier())
}

fn write_database(path: &Path, options: &Options, origin: &str, signer: &Signer) -> Result<Mark, Error> {
    let rules = Leaf::Log { supersede: options.supersede, previous: None };
    let map = TagMap::new();
    let index = Leaf::Index { index: 1, count: map.len(), root: map.root() };
    let mut edge = Edge::default();
    let leaves = [rules.to_bytes(), index.to_bytes()];
    for leaf in &leaves {
        edge.push(leaf_hash(leaf), &mut Vec::new());
    }
    let root = edge.frontier().map_err(Error::Sign)?.root();
    let head = HeadRow {
        origin: origin.to_owned(),
        vkey: signer.verifier().to_string(),
        size: edge.size(),
        root,
        note: signer.checkpoint(edge.size(), root)?,
    };
    let connection = schema::create(path)?;
    let doing = "write the first leaves";
    connection.execute_batch("BEGIN").doing(doing)?;
    for (index, leaf) in (0..).zip(&leaves) {
        store::insert_entry(&connection, index, leaf).doing(doing)?;
    }
    store::insert_head(&connection, &head).doing(doing)?;
    connection.execute_batch("COMMIT").doing(doing)?;
    connection.close().map_err(|(_, error)| error).doing("close the new database")?;
    Ok(Mark { size: head.size, root })
}

/// Whether `origin` can name a log: what leaf 0 of a successor and a key file can carry.
fn is_origin(origin: &str) -> bool {
    (1..=255).contains(&origin.len()) && origin.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+')
}
