//! A mark in the data directory that upstream credentials were configured once.
//!
//! Taking them away must not open a log that names private repositories. Knows no configuration.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "had-credentials";
const TEXT: &str = "\
Upstream credentials were configured when this log was written to, so it may name and hold what is in private
repositories.
While this file is here `public` is false by default, and strangers are not served without `anonymous = true`. It is no
state: see docs/configuration.md.
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

/// Remembers of one data directory what is known of another, whose records it was given.
///
/// # Errors
///
/// The mark cannot be written; then what was given must not be served.
pub fn pass_on_credentials(from: &Path, to: &Path) -> io::Result<()> {
    if had_credentials(from) { remember_credentials(to) } else { Ok(()) }
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
        let next = tempfile::tempdir().unwrap();
        pass_on_credentials(&directory.path().join("not there yet"), next.path()).unwrap();
        assert!(!had_credentials(next.path()));
        pass_on_credentials(directory.path(), next.path()).unwrap();
        assert!(had_credentials(next.path()));
    }
}
