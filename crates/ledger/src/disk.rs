//! How much room the volume of the data directory has left, and the file-system calls that make a name durable.
//! It must not know what is stored.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

type Free = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

/// Source of the free bytes of a volume. Replaced in tests; asked at most once per batch.
#[derive(Clone)]
pub struct FreeSpace(Arc<Free>);

impl FreeSpace {
    /// A source that asks `free` with the data directory.
    pub fn new(free: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(free))
    }

    /// What the operating system says an unprivileged process may still write.
    pub fn system() -> Self {
        Self::new(|path| {
            let volume = rustix::fs::statvfs(path)?;
            Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
        })
    }

    /// Bytes free on the volume that holds `path`.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn of(&self, path: &Path) -> io::Result<u64> {
        (self.0)(path)
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeSpace")
    }
}

/// Makes the names in the directory of `path` durable; a file's own sync does not cover its directory entry.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}
