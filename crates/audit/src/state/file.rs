//! Small files that are replaced whole: a reader sees the old content or the new, and what was
//! reported as written is there after a crash.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

use crate::Error;

/// Bytes of a remembered file, at most.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// The content of a file, `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    if length > MAX_FILE {
        let limit = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
        return Err(Error::TooLarge { place: path.display().to_string(), limit });
    }
    fs::read(path).map(Some).map_err(Error::file("read", path))
}

/// Replaces a file; durable on return.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(Error::file("write", path))
}

fn open_lock(path: &Path) -> Result<File, Error> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(Error::file("open", path))
}

/// Waits for a lock, which ends when the file is dropped. Held for the time of a few small writes,
/// or for good by a process that hangs in them.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = open_lock(path)?;
    file.lock().map_err(Error::file("lock", path))?;
    Ok(file)
}

/// Takes a lock without waiting, which ends when the file is dropped.
pub(crate) fn try_lock(path: &Path) -> Result<File, Error> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(Error::file("lock", path)(source)),
    }
}
