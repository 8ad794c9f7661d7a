//! The published log as files that any static web server can serve (C2SP tlog-tiles), and back. Files that never change
//! are written once and compared when they are there; the checkpoint goes last, so that the directory is a whole log at
//! every moment. It must not know the rules of the log; who reads an export checks them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tlog::{EntriesId, Hash, SignedCheckpoint, TILE_WIDTH, TileId, decode_entries, tiles_of_size};

use crate::disk::sync_directory_of;
use crate::edge::Edge;
use crate::error::{Error, OpenError, ReadOnly};
use crate::keys::Keys;
use crate::readers::Readers;
use crate::restore::SourceError;
use crate::tiles;

/// Name of the one file that changes with every export.
const CHECKPOINT: &str = "checkpoint";
/// Name of the file with the log's verifier key.
const VKEY: &str = "vkey";
/// Bytes of a file of an export that is read back, at most: a full bundle of the longest leaves.
const MAX_FILE: u64 = 256 * (65_535 + 2);

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Leaves of the exported checkpoint.
    pub size: u64,
    /// Files that are new.
    pub written: u64,
    /// Files that were there already and hold the same.
    pub compared: u64,
}

/// An export that was not brought to its end. The directory still holds the log it held before.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log was rolled back: what it would export contradicts what it has published.
    #[error(transparent)]
    ReadOnly(#[from] ReadOnly),
    /// What was committed last has not reached the guard.
    #[error("the newest leaves are not in the rollback guard yet; start the server once, which settles it")]
    Unguarded,
    /// The log cannot be read.
    #[error("the log could not be read")]
    Read(#[from] Error),
    /// Another export into the directory is at work.
    #[error("another export into `{}` is at work", .path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// The checkpoint in the directory is of another log.
    #[error("`{}` is not a checkpoint of this log; export into an empty directory", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The directory holds a longer log.
    #[error("`{}` has {there} leaves, this log only {here}: it was rolled back; restore it from there", .path.display())]
    Ahead {
        /// The checkpoint in the directory.
        path: PathBuf,
        /// Its leaves.
        there: u64,
        /// Leaves to be exported.
        here: u64,
    },
    /// The directory holds another history of the log.
    #[error("`{}` and this log have different histories", .path.display())]
    Forked {
        /// The checkpoint in the directory.
        path: PathBuf,
    },
    /// A file that never changes holds something else.
    #[error("`{}` holds something else than the log; nobody can have written it but by mistake or malice", .path.display())]
    Differs {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be written or read.
    #[error("could not {doing} `{}`", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// One published checkpoint, and what its files are read from.
pub(crate) struct Source<'a> {
    pub(crate) note: &'a str,
    pub(crate) root: Hash,
    pub(crate) tree: &'a Edge,
    pub(crate) keys: &'a Keys,
    pub(crate) readers: &'a Readers,
}

/// Brings `directory` to the checkpoint of `source`. `progress` is told how many of how many files are done.
pub(crate) fn write(
    source: &Source<'_>,
    directory: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Exported, ExportError> {
    let failed = |doing| move |source| ExportError::File { doing, path: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(failed("create"))?;
    let lock = File::open(directory).map_err(failed("open"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(ExportError::Busy { path: directory.to_owned() }),
        Err(fs::TryLockError::Error(source)) => return Err(failed("lock")(source)),
    }
    let before = exported_before(source, directory)?;
    let size = source.tree.size();
    let mut files =
        Files { directory, unsynced: BTreeSet::new(), done: Exported { size, ..Exported::default() } };
    let new = || tiles_of_size(size).filter(|tile| !was_full(*tile, before));
    let (bundles, hashes) = (new().filter(|tile| tile.level == 0).count(), new().count());
    let total = (bundles + hashes) as u64;
    for (done, tile) in (0..).zip(new().filter(|tile| tile.level == 0)) {
        progress(done, total);
        let id = EntriesId { index: tile.index, width: tile.width };
        let bundle = tiles::entries(source.tree, source.readers, id)?;
        files.immutable(&id.to_string(), &bundle.ok_or_else(|| missing(&id.to_string()))?)?;
    }
    for (done, tile) in (bundles as u64..).zip(new()) {
        progress(done, total);
        let data = tiles::tile(source.tree, source.readers, tile)?;
        files.immutable(&tile.to_string(), &data.ok_or_else(|| missing(&tile.to_string()))?)?;
    }
    files.replace(VKEY, format!("{}\n", source.keys.own()).as_bytes())?;
    files.sync()?;
    files.replace(CHECKPOINT, source.note.as_bytes())?;
    files.sync()?;
    // Partial tiles may go once the full one is there; whoever misses one asks for that.
    let superseded =
        tiles_of_size(before).filter(|tile| tile.width < TILE_WIDTH && was_full(full(*tile), size));
    for tile in superseded {
        files.remove_partials(&tile.to_string())?;
        if tile.level == 0 {
            files.remove_partials(&EntriesId { index: tile.index, width: tile.width }.to_string())?;
        }
    }
    progress(total, total);
    Ok(files.done)
}

/// The checkpoint of an export, as it stands there.
///
/// # Errors
/// A directory without one.
pub fn exported_checkpoint(directory: &Path) -> Result<String, ExportError> {
    let path = directory.join(CHECKPOINT);
    read(&path)
        .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
        .map_err(|source| ExportError::File { doing: "read", path, source })
}

/// The leaves of an export whose checkpoint has `size` leaves, from the first on. Nothing is checked but that bundles
/// are whole.
pub fn exported_leaves(directory: &Path, size: u64) -> impl Iterator<Item = Result<Vec<u8>, SourceError>> {
    let bundles = tiles_of_size(size).filter(|tile| tile.level == 0);
    bundles.flat_map(move |tile| match bundle(directory, tile) {
        Ok(leaves) => leaves.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })
}

/// A bundle, or the first leaves of the full one where the partial one has gone.
fn bundle(directory: &Path, tile: TileId) -> Result<Vec<Vec<u8>>, SourceError> {
    let id = EntriesId { index: tile.index, width: tile.width };
    let found = match read(&directory.join(id.to_string())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && id.width < TILE_WIDTH => {
            let full = EntriesId { width: TILE_WIDTH, ..id };
            read(&directory.join(full.to_string())).map(|bytes| (bytes, TILE_WIDTH))
        }
        other => other.map(|bytes| (bytes, id.width)),
    };
    let path = directory.join(id.to_string());
    let (bytes, width) = found.map_err(|source| ExportError::File { doing: "read", path, source })?;
    let leaves = decode_entries(&bytes, width)?;
    Ok(leaves.into_iter().take(usize::from(id.width)).map(<[u8]>::to_vec).collect())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than any file of a log"));
    }
    fs::read(path)
}

/// Size of the log that the directory holds, which has to be the beginning of this one; 0 for none.
fn exported_before(source: &Source<'_>, directory: &Path) -> Result<u64, ExportError> {
    let path = directory.join(CHECKPOINT);
    let note = match read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(ExportError::File { doing: "read", path, source }),
    };
    let signed = String::from_utf8(note).ok().and_then(|note| note.parse::<SignedCheckpoint>().ok());
    let ours = signed.as_ref().and_then(|signed| source.keys.all().find_map(|key| signed.verify(key).ok()));
    let Some(before) = ours else { return Err(ExportError::Foreign { path }) };
    let here = source.tree.size();
    if before.size > here {
        return Err(ExportError::Ahead { path, there: before.size, here });
    }
    let root = if before.size == here {
        source.root
    } else {
        tiles::earlier(source.tree, source.readers, before.size)?.frontier().map_err(Error::from)?.root()
    };
    if root != before.root {
        return Err(ExportError::Forked { path });
    }
    Ok(before.size)
}

/// Whether this tile was full already when the log had `size` leaves.
fn was_full(tile: TileId, size: u64) -> bool {
    let hashes = size.checked_shr(8 * u32::from(tile.level)).unwrap_or(0);
    tile.width == TILE_WIDTH && tile.index < hashes / u64::from(TILE_WIDTH)
}

fn full(tile: TileId) -> TileId {
    TileId { width: TILE_WIDTH, ..tile }
}

fn missing(path: &str) -> Error {
    Error::Corrupt { what: format!("`{path}`") }
}

/// The files of one export on their way to the disk.
struct Files<'a> {
    directory: &'a Path,
    /// Directories with names that are not durable yet.
    unsynced: BTreeSet<PathBuf>,
    done: Exported,
}

impl Files<'_> {
    /// Writes a file that never changes, or compares it with what is there.
    fn immutable(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.directory.join(name);
        match read(&path) {
            Ok(there) if there == bytes => {
                self.done.compared += 1;
                Ok(())
            }
            Ok(_) => Err(ExportError::Differs { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.done.written += 1;
                self.replace(name, bytes)
            }
            Err(source) => Err(ExportError::File { doing: "read", path, source }),
        }
    }

    /// Writes a file under another name, durably, and gives it its own.
    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.directory.join(name);
        let failed = |doing| {
            let path = path.clone();
            move |source| ExportError::File { doing, path, source }
        };
        let parent = path.parent().unwrap_or(self.directory);
        self.make(parent)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&unfinished)
            .map_err(failed("create"))?;
        file.write_all(bytes).map_err(failed("write"))?;
        file.sync_all().map_err(failed("sync"))?;
        fs::rename(&unfinished, &path).map_err(failed("name"))?;
        self.unsynced.insert(parent.to_owned());
        Ok(())
    }

    /// Makes a directory and those above it.
    fn make(&mut self, directory: &Path) -> Result<(), ExportError> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            self.make(parent)?;
            self.unsynced.insert(parent.to_owned());
        }
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(ExportError::File { doing: "create", path: directory.to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }

    /// Makes all names durable.
    fn sync(&mut self) -> Result<(), ExportError> {
        for directory in std::mem::take(&mut self.unsynced) {
            let synced = sync_directory_of(&directory.join(CHECKPOINT));
            synced.map_err(|source| ExportError::File { doing: "sync", path: directory, source })?;
        }
        Ok(())
    }

    /// Removes all widths of the tile of which `name` is one.
    fn remove_partials(&self, name: &str) -> Result<(), ExportError> {
        let path = self.directory.join(name);
        let Some(widths) = path.parent() else { return Ok(()) };
        match fs::remove_dir_all(widths) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ExportError::File { doing: "remove", path: widths.to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }
}
