//! A log as files: where the checkpoint, tiles and entry bundles are read from.
//!
//! Gives bytes within bounds and nothing more: whether they belong to the log is [`crate::Tree`]'s
//! to find out.

mod directory;
mod http;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tlog::{EntriesId, MAX_ENTRY, SignedCheckpoint, TILE_WIDTH, TileId};

use self::directory::DirectoryFiles;
pub use self::http::Http;
use self::http::HttpFiles;
pub(crate) use self::http::{first_line, is_passing, parse_url, read_bounded, setup, unreachable};
use crate::Error;

/// Bytes of a note, at most.
pub(crate) const MAX_NOTE: usize = 64 * 1024;
/// Bytes of a bundle of 256 leaves, at most.
pub(crate) const MAX_BUNDLE: usize = TILE_WIDTH as usize * (MAX_ENTRY + 2);
const HASH: usize = 32;

/// Where files of a log are.
trait Files: fmt::Debug + Send + Sync {
    /// The bytes of one file, `None` where there is none.
    fn read<'a>(&'a self, path: &'a str, limit: usize) -> BoxFuture<'a, Result<Option<Bytes>, Error>>;

    /// The file's whole name, for people.
    fn place(&self, path: &str) -> String;
}

/// A log's prefix, over HTTP(S) or a directory; cheap to clone.
#[derive(Clone, Debug)]
pub struct Source {
    files: Arc<dyn Files>,
    prefix: String,
}

impl Source {
    /// The log at a URL (`https://tlog.example/log`) or in a directory (an export); its checkpoint may
    /// be named instead.
    ///
    /// # Errors
    ///
    /// [`Error::Place`], [`Error::Setup`].
    pub fn open(place: &str, http: &Http) -> Result<Self, Error> {
        let place = place.strip_suffix("/checkpoint").unwrap_or(place);
        if place.contains("://") {
            return Ok(Self::of(HttpFiles::new(place, http)?));
        }
        if !Path::new(place).is_dir() {
            return Err(Error::Place { place: place.to_owned() });
        }
        Ok(Self::directory(place))
    }

    /// The log in a directory.
    pub fn directory(path: impl AsRef<Path>) -> Self {
        Self::of(DirectoryFiles::new(path.as_ref()))
    }

    fn of(files: impl Files + 'static) -> Self {
        Self { files: Arc::new(files), prefix: String::new() }
    }

    /// What lies below: `server.below("log")` is the log of a server.
    #[must_use]
    pub fn below(&self, folder: &str) -> Self {
        Self { files: Arc::clone(&self.files), prefix: format!("{}{folder}/", self.prefix) }
    }

    /// A file's whole name, for people.
    pub fn place(&self, path: &str) -> String {
        self.files.place(&format!("{}{path}", self.prefix))
    }

    /// The checkpoint, of which only the form is checked.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Malformed`] for what is no checkpoint.
    pub async fn checkpoint(&self) -> Result<SignedCheckpoint, Error> {
        let text = self.text("checkpoint", MAX_NOTE).await?;
        text.parse().map_err(|source| Error::Malformed { place: self.place("checkpoint"), source })
    }

    /// A text of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Missing`] where there is none.
    pub async fn text(&self, path: &str, limit: usize) -> Result<String, Error> {
        let bytes = self.read(path, limit).await?.ok_or_else(|| self.missing(path))?;
        String::from_utf8(bytes.into()).map_err(|_encoding| Error::Malformed {
            place: self.place(path),
            source: tlog::Error::Format { format: "text", why: "not UTF-8".to_owned() },
        })
    }

    /// A tile, which should hold as many hashes as `id` says; the first ones of the full tile where
    /// the partial one is gone.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Missing`] where there is none.
    pub async fn tile(&self, id: TileId) -> Result<Bytes, Error> {
        let (width, full) = (usize::from(id.width) * HASH, usize::from(TILE_WIDTH) * HASH);
        if let Some(bytes) = self.read(&id.to_string(), full).await? {
            return Ok(bytes);
        }
        let bytes = match id.width {
            TILE_WIDTH => None,
            _ => self.read(&TileId { width: TILE_WIDTH, ..id }.to_string(), full).await?,
        };
        let bytes = bytes.ok_or_else(|| self.missing(&id.to_string()))?;
        Ok(bytes.slice(..width.min(bytes.len())))
    }

    /// A bundle, which should hold as many leaves as `id` says; the first ones of the full bundle
    /// where the partial one is gone.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Missing`] where there is none.
    pub async fn entries(&self, id: EntriesId) -> Result<Bytes, Error> {
        if let Some(bytes) = self.read(&id.to_string(), MAX_BUNDLE).await? {
            return Ok(bytes);
        }
        let bytes = match id.width {
            TILE_WIDTH => None,
            _ => self.read(&EntriesId { width: TILE_WIDTH, ..id }.to_string(), MAX_BUNDLE).await?,
        };
        let bytes = bytes.ok_or_else(|| self.missing(&id.to_string()))?;
        Ok(first_entries(&bytes, id.width))
    }

    /// A file of at most `limit` bytes, `None` where there is none.
    pub(crate) async fn read(&self, path: &str, limit: usize) -> Result<Option<Bytes>, Error> {
        self.files.read(&format!("{}{path}", self.prefix), limit).await
    }

    fn missing(&self, path: &str) -> Error {
        Error::Missing { place: self.place(path) }
    }
}

/// The first entries of a full bundle; all of it where it is too short to hold them.
fn first_entries(bundle: &Bytes, width: u16) -> Bytes {
    let mut end = 0;
    for _entry in 0..width {
        let length = bundle.get(end..).and_then(|rest| rest.first_chunk::<2>());
        let Some(length) = length else { return bundle.clone() };
        end += 2 + usize::from(u16::from_be_bytes(*length));
    }
    if end <= bundle.len() { bundle.slice(..end) } else { bundle.clone() }
}
