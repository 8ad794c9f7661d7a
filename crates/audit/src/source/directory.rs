//! A log as files of a directory: an export, a mirror, our own copy.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt as _;

use super::Files;
use crate::Error;

/// Files below a directory.
#[derive(Debug)]
pub(super) struct DirectoryFiles {
    root: PathBuf,
}

impl DirectoryFiles {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Files for DirectoryFiles {
    fn read<'a>(&'a self, path: &'a str, limit: usize) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            let path = self.root.join(path);
            let file = match tokio::fs::File::open(&path).await {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::file("open", path)(error)),
            };
            let mut bytes = Vec::new();
            // One byte more tells a file that fits from one that does not.
            let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            file.take(bound).read_to_end(&mut bytes).await.map_err(Error::file("read", &path))?;
            if bytes.len() > limit {
                return Err(Error::TooLarge { place: path.display().to_string(), limit });
            }
            Ok(Some(bytes.into()))
        })
    }

    fn place(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }
}
