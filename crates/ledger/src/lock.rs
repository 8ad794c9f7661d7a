//! The exclusive lock on a data directory: two sequencers on one log would sign two histories.
//! It must not know what the directory holds. The lock is the kernel's and ends with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Name of the lock file in the data directory.
pub(crate) const LOCK_FILE: &str = "lock";

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another handle, nearly always another process, holds the lock.
    #[error("`{}` is in use{}; one data directory serves one process: stop the other one first", .path.display(), by(.process))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Process id that the holder wrote into it, where readable.
        process: Option<u32>,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock `{}`; does the directory exist, and may this user write to it?", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

fn by(process: &Option<u32>) -> String {
    process.map(|id| format!(" by process {id}")).unwrap_or_default()
}

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `data_dir` without waiting.
    pub(crate) fn acquire(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join(LOCK_FILE);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The holder may not have written its id yet; the refusal stands without it.
                let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held { path, process });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(matches!(error, LockError::Held { process: Some(id), .. } if id == std::process::id()));
        assert!(error.to_string().contains(&format!("by process {}", std::process::id())), "{error}");
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_and_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("unmounted");
        assert!(matches!(DirectoryLock::acquire(&missing), Err(LockError::Io { .. })));
        assert!(!missing.exists());
    }
}
