//! Our own copy of a log's full tiles and bundles, laid out as the log itself, so that it can be
//! served or read as one.
//!
//! Not trusted: whatever is read from it is authenticated like what comes over the network, so that
//! a copy that was damaged costs a second request and nothing else. Partial tiles are never kept.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::Error;
use crate::source::Source;

/// A directory of files that can be fetched again.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    source: Source,
}

impl Cache {
    /// The copy in a directory, which is made when something is first kept.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self { source: Source::directory(&directory), directory }
    }

    pub(crate) async fn read(&self, path: &str, limit: usize) -> Result<Option<Bytes>, Error> {
        self.source.read(path, limit).await
    }

    /// Keeps a file; whole or not at all.
    pub(crate) async fn keep(&self, path: &str, bytes: &Bytes) -> Result<(), Error> {
        let path = self.directory.join(path);
        let parent = path.parent().unwrap_or(Path::new("."));
        tokio::fs::create_dir_all(parent).await.map_err(Error::file("make", parent))?;
        // Two audits may keep the same file at once; each writes its own.
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        tokio::fs::write(&unfinished, bytes).await.map_err(Error::file("write", &unfinished))?;
        tokio::fs::rename(&unfinished, &path).await.map_err(Error::file("rename", &unfinished))
    }
}
