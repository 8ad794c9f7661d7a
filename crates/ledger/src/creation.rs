//! Making a key, a guard and a log of size 2 where nothing of a log is; and telling what is there already.
//! It must not decide whether a log should be made: a command does, or a server by its own rule.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use taglog::{Leaf, Previous};
use tlog::VerifierKey;

use crate::builder::Builder;
use crate::disk::sync_directory_of;
use crate::error::{CreateError, Error, OpenError};
use crate::guard::{Guard, GuardError, Mark};
use crate::keys::identity;
use crate::lock::DirectoryLock;
use crate::options::Options;
use crate::schema::{self, Access};
use crate::signer::Signer;
use crate::store::{self, HeadRow};

/// Name of the database until everything of a new log is there.
pub(crate) const UNFINISHED: &str = "ledger.db.unfinished";

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

/// Looks for the parts of a log. What cannot be looked at counts as present: on doubt nothing is made. What a creation
/// left that never came to its end is nothing of a log.
pub fn presence(options: &Options) -> Presence {
    let exists = |path: &Path| path.try_exists().unwrap_or(true);
    if was_interrupted(options) {
        return Presence { key: false, guard: false, database: false };
    }
    Presence {
        key: exists(&options.key_path()),
        guard: exists(&options.guard_path()),
        database: exists(&options.database_path()),
    }
}

/// Whether guard and key, where they are there, were made by a creation that ended before its database had a name:
/// they are those of the unfinished database beside them, or were never written. Nothing was signed under that key.
fn was_interrupted(options: &Options) -> bool {
    if options.database_path().try_exists().unwrap_or(true) {
        return false;
    }
    let Some(verifier) = unfinished_log(&options.data_dir.join(UNFINISHED)) else { return false };
    let guard = match Guard::open(&options.guard_path(), &[identity(&verifier)]) {
        Ok(_) | Err(GuardError::Missing { .. }) => true,
        Err(GuardError::Damaged { path }) => is_blank(&path),
        Err(_) => false,
    };
    let key = options.key_path();
    guard
        && match Signer::read(&key) {
            Ok(signer) => signer.is_none_or(|signer| signer.verifier() == verifier),
            Err(_) => is_blank(&key),
        }
}

/// Key of the log in the unfinished database; `None` when there is none that could be read.
fn unfinished_log(path: &Path) -> Option<VerifierKey> {
    if !path.try_exists().ok()? {
        return None;
    }
    let connection = schema::connect(path, Access::Read).ok()?;
    store::head(&connection).ok()?.vkey.parse().ok()
}

/// Whether nothing was ever written into the file.
fn is_blank(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
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
    create_with(options, None, |_| Ok(()))
}

/// As [`create`], with what leaf 0 says of the log before, and what `fill` appends to the first two leaves.
pub(crate) fn create_with(
    options: &Options,
    previous: Option<Previous>,
    fill: impl FnOnce(&mut Builder) -> Result<(), CreateError>,
) -> Result<VerifierKey, CreateError> {
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
    if was_interrupted(options) {
        // The database goes last: as long as it is there, the rest is known to be its own.
        for path in [&key, &guard] {
            remove(path).map_err(failed(path))?;
        }
    }
    let present = presence(options);
    let remains = options.write_ahead_log_path();
    let remain = remains.try_exists().unwrap_or(true);
    let parts =
        [(present.database, &database), (present.key, &key), (present.guard, &guard), (remain, &remains)];
    for (there, path) in parts {
        if there {
            return Err(CreateError::Exists { path: path.clone() });
        }
    }
    let signer = Signer::generate(&origin)?;
    let unfinished = directory.join(UNFINISHED);
    for path in [&unfinished, &directory.join(format!("{UNFINISHED}-journal"))] {
        remove(path).map_err(failed(path))?;
    }
    let mut builder = Builder::create(&unfinished, options.clock.now())?;
    builder.leaf(&Leaf::Log { supersede: options.supersede, previous }.to_bytes())?;
    builder.index()?;
    fill(&mut builder)?;
    let mark = finish(builder, &origin, &signer)?;
    Guard::create(&guard, identity(&signer.verifier()), mark)?;
    signer.write(&key).map_err(failed(&key))?;
    fs::rename(&unfinished, &database).map_err(failed(&database))?;
    sync_directory_of(&database).map_err(failed(&database))?;
    Ok(signer.verifier())
}

/// Makes the second key of a planned change, for the log of `options` and in its `next_key_file`, mode 0600. Returns its
/// verifier key. A server may have the log open; from its next start on it signs with both keys.
///
/// # Errors
/// Never overwrites a file; without a log, or without [`Options::next_key_file`].
pub fn make_next_key(options: &Options) -> Result<VerifierKey, CreateError> {
    let path = options.next_key_file.as_ref().ok_or(CreateError::NextKeyUnset)?;
    let database = options.database_path();
    if !presence(options).database {
        return Err(absent(options).into());
    }
    let connection = schema::connect(&database, Access::Read)?;
    schema::check(&connection, &database)?;
    let stored = store::head(&connection)?.origin;
    if let Some(configured) = options.origin.clone().filter(|origin| *origin != stored) {
        return Err(OpenError::OriginDiffers { stored, configured }.into());
    }
    let signer = Signer::generate(&stored)?;
    signer.write(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CreateError::KeyExists { path: path.clone() },
        _ => CreateError::File { path: path.clone(), source },
    })?;
    Ok(signer.verifier())
}

/// Signs the tree that was built and ends its database.
fn finish(builder: Builder, origin: &str, signer: &Signer) -> Result<Mark, Error> {
    let (size, root) = (builder.size(), builder.root()?);
    let (origin, vkey) = (origin.to_owned(), signer.verifier().to_string());
    builder.finish(&HeadRow { origin, vkey, size, root, note: signer.note(size, root)? })?;
    Ok(Mark { size, root })
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether `origin` can name a log: what leaf 0 of a successor and a key file can carry.
fn is_origin(origin: &str) -> bool {
    (1..=255).contains(&origin.len()) && origin.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+')
}
