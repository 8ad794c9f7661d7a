//! Checkpoints that the log signed and nobody could compare: kept until they are.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use tlog::{Hash, SignedCheckpoint};

use super::{LogState, replace};
use crate::Error;

const UNRECONCILED: &str = "unreconciled";
/// Checkpoints that are kept, at most. Each is signed by the log, which has much to explain then.
const MAX_KEPT: usize = 16;

impl LogState {
    /// Checkpoints of this log that were shown somewhere, larger than the log's own, and not compared yet.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::Memory`] for what is no checkpoint of this log's key.
    pub(crate) fn unreconciled(&self) -> Result<Vec<SignedCheckpoint>, Error> {
        let paths = self.unreconciled_paths()?;
        let read = |path: &PathBuf| self.checkpoint_in(path).transpose();
        paths.iter().filter_map(read).collect()
    }

    /// Keeps one more, if this key signed it; `known` leaves of the log are about to be remembered.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::Unreconciled`] where too many are kept.
    pub(crate) fn keep_unreconciled(&self, signed: &SignedCheckpoint, known: u64) -> Result<(), Error> {
        let path = self.unreconciled_path(signed);
        if path.exists() || signed.verify(&self.log).is_err() {
            return Ok(());
        }
        let directory = self.directory.join(UNRECONCILED);
        let kept = self.unreconciled()?.iter().filter(|kept| kept.checkpoint().size > known).count();
        if kept >= MAX_KEPT {
            return Err(Error::Unreconciled { path: directory, kept });
        }
        fs::create_dir_all(directory).map_err(Error::file("make", &path))?;
        replace(&path, signed.to_string().as_bytes())
    }

    /// Forgets one that was compared.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub(crate) fn reconciled(&self, signed: &SignedCheckpoint) -> Result<(), Error> {
        let path = self.unreconciled_path(signed);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// By what was signed, whoever cosigned it.
    fn unreconciled_path(&self, signed: &SignedCheckpoint) -> PathBuf {
        let name = format!("{}.note", Hash::of(signed.note().text()).to_hex());
        self.directory.join(UNRECONCILED).join(name)
    }

    fn unreconciled_paths(&self) -> Result<Vec<PathBuf>, Error> {
        let directory = self.directory.join(UNRECONCILED);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(Iterator::collect::<Result<Vec<_>, _>>),
        };
        let entries = entries.map_err(Error::file("read", &directory))?;
        let notes = entries.iter().map(fs::DirEntry::path);
        let mut paths: Vec<PathBuf> =
            notes.filter(|path| path.extension().is_some_and(|extension| extension == "note")).collect();
        paths.sort();
        Ok(paths)
    }
}
