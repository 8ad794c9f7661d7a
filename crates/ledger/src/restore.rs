//! A data directory rebuilt from the leaves of the log and one of its checkpoints: from an export, or from whoever else
//! has a copy. Every leaf is replayed, and the root has to be the one that the log signed. It must not know how a copy is
//! fetched, and never writes over a database.
//!
//! Manifests are not in the log: those of the records count as wanted, so that they are kept again once they pass through.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use taglog::Broken;
use tlog::{Checkpoint, Hash, SignedCheckpoint, VerifierKey};

use crate::builder::{BuildError, Builder};
use crate::cosignatures;
use crate::creation::{UNFINISHED, remove};
use crate::disk::sync_directory_of;
use crate::error::{Error, KeyError, OpenError};
use crate::guard::{Guard, GuardError, Mark};
use crate::keys::identity;
use crate::lock::{DirectoryLock, LockError};
use crate::options::Options;
use crate::signer::Signer;
use crate::store::{CheckpointRow, HeadRow};

/// Leaves between two calls of the progress function.
const STEP: u64 = 4096;

/// What a copy of the log failed with.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// What was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The log's verifier key.
    pub verifier: VerifierKey,
    /// Leaves.
    pub size: u64,
    /// Recorded tags; each needs its manifest to pass through once more.
    pub tags: u64,
    /// No intact guard was there: nothing here vouches that the copy is the newest.
    pub unguarded: bool,
}

/// What to do where no intact guard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostGuard {
    /// Restore nothing: the guard is the only thing here that knows whether a copy is the newest.
    Refuse,
    /// Make a new one, because somebody has found out elsewhere that the copy is the newest.
    Replace,
}

/// A data directory that could not be rebuilt; nothing of it has a name that a server would open.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Another process has the directory, or it cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is a database already, or what is left of one.
    #[error("`{}` exists: a database is never overwritten; move it away first, and keep it until the restored log has been checked", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The log key is not there.
    #[error("the log key `{}` is missing: only a log whose key there is can be restored", .path.display())]
    KeyMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The log key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The copy's checkpoint is none, or not signed by this key.
    #[error("the copy's checkpoint is not one that this log key has signed")]
    Checkpoint(#[source] tlog::Error),
    /// The configuration names another log.
    #[error(
        "the copy is of the log `{found}`, but the configuration says `{configured}`; correct `[log] origin`"
    )]
    OriginDiffers {
        /// What the copy is of.
        found: String,
        /// What the options say.
        configured: String,
    },
    /// The guard remembers a longer log than the copy has.
    #[error(
        "the copy holds {found} leaves, but {guard} were committed: a log restored from it would have two histories; find a newer copy, or begin another log, of another name, with `tlogistry init`"
    )]
    Older {
        /// Leaves of the copy.
        found: u64,
        /// Leaves that the guard remembers.
        guard: u64,
    },
    /// The guard remembers another tree than the copy has.
    #[error(
        "the first {size} leaves of the copy are not those that were committed; this is another history of the log"
    )]
    Forked {
        /// Leaves that the guard remembers.
        size: u64,
    },
    /// There is no intact guard, and nobody said that it is lost for good.
    #[error(
        "{0}, and only the guard knows whether a copy is the newest: a log restored from an older one would have two histories"
    )]
    Unguarded(GuardError),
    /// The guard is of another log, or cannot be read or written.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The copy could not be read.
    #[error("leaf {index} of the copy cannot be read")]
    Source {
        /// The leaf.
        index: u64,
        /// What the source said.
        #[source]
        source: SourceError,
    },
    /// The copy ends before its checkpoint does.
    #[error("the copy ends after {found} leaves; its checkpoint has {expected}")]
    Short {
        /// Leaves of the copy.
        found: u64,
        /// Leaves of the checkpoint.
        expected: u64,
    },
    /// A leaf breaks a rule of the log.
    #[error("the copy is not a log of ours")]
    Rule(#[from] Broken),
    /// The leaves are not those of the checkpoint.
    #[error("the leaves of the copy give the root {computed}, its checkpoint says {expected}")]
    Root {
        /// By the leaves.
        computed: Hash,
        /// By the checkpoint.
        expected: Hash,
    },
    /// The policies for publishing cannot be followed.
    #[error(transparent)]
    Publication(Box<OpenError>),
    /// A file could not be written.
    #[error("could not write `{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The database could not be written.
    #[error("the database could not be written")]
    Store(#[from] Error),
}

impl From<BuildError> for RestoreError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Rule(broken) => broken.into(),
            BuildError::Store(error) => error.into(),
        }
    }
}

/// Rebuilds the database and, where it is missing or damaged and `lost` allows it, the guard of `options`, whose key has to
/// be there.
/// `checkpoint` is a signed note of the copy, `leaves` are its leaves from the first on; those beyond the checkpoint are
/// not asked for. `progress` is told how many of how many leaves are done.
///
/// A guard that is there decides which copies are new enough. Where it was lost, nothing here can know: ask the witnesses
/// before anything is signed ([`Options::hold_until_released`]).
///
/// # Errors
/// [`RestoreError`]; the directory is then as it was, but for an unfinished file.
pub fn restore(
    options: &Options,
    lost: LostGuard,
    checkpoint: &str,
    leaves: impl IntoIterator<Item = Result<Vec<u8>, SourceError>>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Restored, RestoreError> {
    let (directory, database) = (&options.data_dir, options.database_path());
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::File { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    let _lock = DirectoryLock::acquire(directory)?;
    // What is left of a database's write-ahead log would be read as part of the next one.
    for path in [database.clone(), options.write_ahead_log_path()] {
        if path.try_exists().unwrap_or(true) {
            return Err(RestoreError::Exists { path });
        }
    }
    let key = options.key_path();
    let signer = Signer::read(&key)?.ok_or(RestoreError::KeyMissing { path: key })?;
    let verifier = signer.verifier();
    let signed: SignedCheckpoint = checkpoint.parse().map_err(RestoreError::Checkpoint)?;
    let copy = signed.verify(&verifier).map_err(RestoreError::Checkpoint)?.clone();
    if let Some(configured) = options.origin.clone().filter(|origin| *origin != copy.origin) {
        return Err(RestoreError::OriginDiffers { found: copy.origin, configured });
    }
    let guard = remembered(options, lost, &verifier)?;
    if let Some(mark) = guard.filter(|mark| mark.size > copy.size) {
        return Err(RestoreError::Older { found: copy.size, guard: mark.size });
    }

    let unfinished = directory.join(UNFINISHED);
    for path in [&unfinished, &directory.join(format!("{UNFINISHED}-journal"))] {
        remove(path).map_err(failed(path))?;
    }
    let mut builder = Builder::create(&unfinished, options.clock.now())?;
    replay(&mut builder, &copy, guard, leaves, &mut progress)?;
    keep_cosignatures(&builder, options, &signed, &signer)?;
    let restored = Restored {
        verifier: verifier.clone(),
        size: copy.size,
        tags: builder.replay().map().len(),
        unguarded: guard.is_none(),
    };
    let (vkey, note) = (verifier.to_string(), signer.note(copy.size, copy.root)?);
    builder.finish(&HeadRow { origin: copy.origin, vkey, size: copy.size, root: copy.root, note })?;
    if guard.is_none() {
        let path = options.guard_path();
        remove(&path).map_err(failed(&path))?;
        Guard::create(&path, identity(&verifier), Mark { size: copy.size, root: copy.root })?;
    }
    fs::rename(&unfinished, &database).map_err(failed(&database))?;
    sync_directory_of(&database).map_err(failed(&database))?;
    Ok(restored)
}

/// What the guard remembers; `None` for one that is missing or damaged and has to be made again.
fn remembered(
    options: &Options,
    lost: LostGuard,
    verifier: &VerifierKey,
) -> Result<Option<Mark>, RestoreError> {
    match (Guard::open(&options.guard_path(), &[identity(verifier)]), lost) {
        (Ok((_, mark)), _) => Ok(Some(mark)),
        (Err(GuardError::Missing { .. } | GuardError::Damaged { .. }), LostGuard::Replace) => Ok(None),
        (Err(error @ (GuardError::Missing { .. } | GuardError::Damaged { .. })), LostGuard::Refuse) => {
            Err(RestoreError::Unguarded(error))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// Writes the leaves of `copy`, each of which has to obey the rules, and checks that they are the ones that were signed.
fn replay(
    builder: &mut Builder,
    copy: &Checkpoint,
    guard: Option<Mark>,
    leaves: impl IntoIterator<Item = Result<Vec<u8>, SourceError>>,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), RestoreError> {
    let mut leaves = leaves.into_iter();
    for index in 0..copy.size {
        if index.is_multiple_of(STEP) {
            progress(index, copy.size);
        }
        let leaf = leaves.next().ok_or(RestoreError::Short { found: index, expected: copy.size })?;
        builder.leaf(&leaf.map_err(|source| RestoreError::Source { index, source })?)?;
        if let Some(mark) = guard.filter(|mark| mark.size == index + 1)
            && builder.root()? != mark.root
        {
            return Err(RestoreError::Forked { size: mark.size });
        }
    }
    progress(copy.size, copy.size);
    let computed = builder.root()?;
    if computed != copy.root {
        return Err(RestoreError::Root { computed, expected: copy.root });
    }
    Ok(builder.replay().published(copy.size)?)
}

/// Keeps the cosignatures of the copy's checkpoint that the policies know, so that it stays published where they are
/// demanded.
fn keep_cosignatures(
    builder: &Builder,
    options: &Options,
    signed: &SignedCheckpoint,
    signer: &Signer,
) -> Result<(), RestoreError> {
    let cosigners =
        options.publication.cosigners().map_err(|error| RestoreError::Publication(Box::new(error)))?;
    let copy = signed.checkpoint();
    let (good, _) = cosignatures::verify(copy, signed.note().signatures(), &cosigners)?;
    if !good.is_empty() {
        let note = signer.note(copy.size, copy.root)?;
        builder.cosigned(&CheckpointRow { size: copy.size, root: copy.root, note }, &good)?;
    }
    Ok(())
}
