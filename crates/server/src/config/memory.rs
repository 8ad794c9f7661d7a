//! A mark in the data directory that upstream credentials were configured once.
//!
//! Taking them away must not open a log that names private repositories. Knows no configuration.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "had-credentials";
const TEXT: &str = "\
Upstream credentials were configured when this log was written to, so it may name private repositories.
While this file is here `public` is false by default. It is no state: see docs/configuration.md.
";

/// Whether credentials were configured at any earlier start. An unreadable directory counts as one that says so.
pub(super) fn had_credentials(data_dir: &Path) -> bool {
    path(data_dir).try_exists().unwrap_or(true)
}

/// Remembers it for ever. Does nothing where it is known.
///
/// # Errors
///
/// The mark cannot be written; then nothing may be recorded.
pub(crate) fn remember_credentials(data_dir: &Path) -> io::Result<()> {
    let path = path(data_dir);
    if path.try_exists()? {
        return Ok(());
    }
    let mut file = File::create(path)?;
    file.write_all(TEXT.as_bytes())?;
    file.sync_all()?;
    File::open(data_dir)?.sync_all()
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_once_stays() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!had_credentials(directory.path()));
        for _ in 0..2 {
            remember_credentials(directory.path()).unwrap();
            assert!(had_credentials(directory.path()));
        }
        assert!(!had_credentials(&directory.path().join("not there yet")));
    }
}
