//! Writes a client's files below a directory. What is there already is never replaced.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::setup::File;
use crate::error::CommandError;

/// Those that were missing; nothing is written where any other text is in the way.
///
/// # Errors
/// A file that says something else, or one that cannot be written.
pub(super) fn all(directory: &Path, files: &[File]) -> Result<Vec<PathBuf>, CommandError> {
    let mut missing = Vec::new();
    for file in files {
        let path = directory.join(file.path.trim_start_matches('/'));
        match present(&path, file.content.len()) {
            Ok(None) => missing.push((path, &file.content)),
            Ok(Some(content)) if content == file.content.as_bytes() => {}
            Ok(Some(_)) => {
                return Err(CommandError::new(anyhow::anyhow!(
                    "`{}` is there and says something else; nothing was written",
                    path.display()
                ))
                .hinted("print the files without `--write` and merge them by hand; `tlogistry doctor` checks the result"));
            }
            Err(error) => return Err(unwritable(&path, error)),
        }
    }
    missing.into_iter().map(|(path, content)| place(path, content)).collect()
}

/// At most one byte more than would be the same.
fn present(path: &Path, length: usize) -> std::io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(length as u64 + 1).read_to_end(&mut content)?;
    Ok(Some(content))
}

fn place(path: PathBuf, content: &str) -> Result<PathBuf, CommandError> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        std::io::Write::write_all(&mut file, content.as_bytes())
    });
    match written {
        Ok(()) => Ok(path),
        Err(error) => Err(unwritable(&path, error)),
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> CommandError {
    CommandError::new(error).because_of(format!("`{}` cannot be written", path.display()))
}
