//! What a client remembers of one log: the latest checkpoint that it has seen, verbatim, the latest
//! that it has audited, and the evidence of faults.
//!
//! Kept apart from any cache, because forgetting it lets a log show another history. Never goes
//! backwards. Several processes may share it: a change is made under a lock, and only if nobody
//! else made one in the meantime.

mod file;
mod unreconciled;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tlog::{Checkpoint, Hash, SignedCheckpoint, VerifierKey};

use self::file::lock;
pub(crate) use self::file::{read, replace, try_lock};
use crate::Error;
use crate::evidence::{Evidence, Finding};

const LATEST: &str = "checkpoint";
const AUDITED: &str = "audited";
const KEY: &str = "vkey";
const LOCK: &str = "lock";
const EVIDENCE: &str = "evidence";
/// Bytes of evidence beyond which no more is kept.
const MAX_EVIDENCE_KEPT: u64 = 256 * 1024 * 1024;

/// The memory of one log, by the log's name and key.
#[derive(Clone, Debug)]
pub struct LogState {
    directory: PathBuf,
    log: VerifierKey,
}

impl LogState {
    /// The memory of `log` below a directory, which is made where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn open(directory: &Path, log: &VerifierKey) -> Result<Self, Error> {
        let vkey = log.to_string();
        let directory = directory.join(Hash::of(&vkey).to_hex());
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        // For people: the directory's name says nothing to them.
        let state = Self { directory, log: log.clone() };
        let path = state.directory.join(KEY);
        let _lock = state.lock()?;
        if read(&path)?.is_none() {
            replace(&path, format!("{vkey}\n").as_bytes())?;
        }
        Ok(state)
    }

    /// The log's key.
    pub fn log(&self) -> &VerifierKey {
        &self.log
    }

    /// Where the memory of this log is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The latest checkpoint that was seen.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::Memory`] for one that this log's key did not sign.
    pub fn latest(&self) -> Result<Option<SignedCheckpoint>, Error> {
        self.checkpoint(LATEST)
    }

    /// The latest checkpoint up to which all of history was audited.
    ///
    /// # Errors
    ///
    /// As [`LogState::latest`].
    pub fn audited(&self) -> Result<Option<SignedCheckpoint>, Error> {
        self.checkpoint(AUDITED)
    }

    /// Remembers a checkpoint that was found to continue `before`, the latest one so far; gives
    /// whether it did. It does not when another process remembered one in the meantime: compare
    /// again, with that one.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::Malformed`], [`Error::Backwards`].
    pub fn advance(&self, before: Option<&SignedCheckpoint>, new: &SignedCheckpoint) -> Result<bool, Error> {
        let _lock = self.lock()?;
        let latest = self.latest()?;
        if latest.as_ref() != before {
            return Ok(false);
        }
        self.remember(LATEST, latest.as_ref(), new)?;
        Ok(true)
    }

    /// Remembers that all of history up to a checkpoint was audited.
    ///
    /// # Errors
    ///
    /// As [`LogState::advance`].
    pub(crate) fn advance_audited(&self, new: &SignedCheckpoint) -> Result<(), Error> {
        let _lock = self.lock()?;
        let audited = self.audited()?;
        if audited.as_ref().is_some_and(|audited| audited.checkpoint().size > new.checkpoint().size) {
            return Ok(());
        }
        self.remember(AUDITED, audited.as_ref(), new)
    }

    /// Writes a fault down, at `now` in Unix seconds, unless it is written down already; gives the error that
    /// says so.
    pub fn record(&self, finding: Finding, now: u64) -> Error {
        let evidence = Box::new(Evidence::new(&self.log, now, finding));
        match self.keep_evidence(&evidence) {
            Ok(path) => Error::Caught { evidence, path },
            Err(source) => Error::Unwritten { evidence, source: Box::new(source) },
        }
    }

    fn keep_evidence(&self, evidence: &Evidence) -> Result<PathBuf, Error> {
        let directory = self.directory.join(EVIDENCE);
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        let entries = fs::read_dir(&directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let name = format!("{}-{}.json", evidence.fault.kind(), short(&format!("{:?}", evidence.fault)));
        let mut kept = 0;
        for entry in entries.map_err(Error::file("read", &directory))? {
            let path = entry.path();
            if path.file_name().and_then(OsStr::to_str).is_some_and(|known| known.ends_with(&name)) {
                return Ok(path);
            }
            kept += entry.metadata().map_err(Error::file("read", &path))?.len();
        }
        // Whoever stands between us and the log may show another fault each time.
        if kept > MAX_EVIDENCE_KEPT {
            return Err(Error::EvidenceFull { path: directory });
        }
        let path = directory.join(format!("{}-{name}", evidence.written));
        replace(&path, evidence.to_json().as_bytes())?;
        Ok(path)
    }

    fn remember(
        &self,
        name: &str,
        before: Option<&SignedCheckpoint>,
        new: &SignedCheckpoint,
    ) -> Result<(), Error> {
        let path = self.directory.join(name);
        let checkpoint = new.verify(&self.log).map_err(|source| self.not_ours(&path, source))?;
        if let Some(before) = before.map(SignedCheckpoint::checkpoint)
            && !goes_on(before, checkpoint)
        {
            return Err(Error::Backwards { stored: before.size, new: checkpoint.size });
        }
        replace(&path, new.to_string().as_bytes())
    }

    fn checkpoint(&self, name: &str) -> Result<Option<SignedCheckpoint>, Error> {
        self.checkpoint_in(&self.directory.join(name))
    }

    fn checkpoint_in(&self, path: &Path) -> Result<Option<SignedCheckpoint>, Error> {
        let Some(text) = read(path)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&text);
        let checkpoint: SignedCheckpoint = text.parse().map_err(|source| self.not_ours(path, source))?;
        checkpoint.verify(&self.log).map_err(|source| self.not_ours(path, source))?;
        Ok(Some(checkpoint))
    }

    fn not_ours(&self, path: &Path, source: tlog::Error) -> Error {
        Error::Memory { path: path.to_owned(), source }
    }

    fn lock(&self) -> Result<File, Error> {
        lock(&self.directory.join(LOCK))
    }
}

/// Whether a checkpoint can come after another one by its size and root alone.
fn goes_on(before: &Checkpoint, new: &Checkpoint) -> bool {
    before.size < new.size || (before.size, before.root) == (new.size, new.root)
}

fn short(text: &str) -> String {
    Hash::of(text).to_hex().chars().take(8).collect()
}

#[cfg(test)]
mod tests;
