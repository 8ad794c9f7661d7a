//! Files below a root, of bounded size and number. It must not know what is in them.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::findings::Findings;

/// Bytes of a file that is read; a configuration is far below.
const MAX_BYTES: u64 = 1 << 20;
/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 1000;

/// Where `etc` is.
#[derive(Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is this machine's own.
    pub(super) fn is_machine(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// The text of a file, if there is one; one that cannot be read is a finding.
    pub(super) fn read(&self, path: &str, findings: &mut Findings) -> Option<String> {
        match self.try_read(path) {
            Ok(text) => text,
            Err(error) => {
                let hint =
                    "make it a readable file of UTF-8 text; `doctor` has to run as a user who may read it";
                findings.fail(path, format!("cannot be read: {error}"), hint);
                None
            }
        }
    }

    /// Names in a directory, in order; none where there is no directory.
    pub(super) fn list(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.below(path)).into_iter().flatten().flatten().take(MAX_ENTRIES);
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn try_read(&self, path: &str) -> io::Result<Option<String>> {
        let path = self.below(path);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Opening a pipe would wait.
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if metadata.len() > MAX_BYTES {
            return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
        }
        let mut text = String::new();
        fs::File::open(&path)?.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    fn below(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}
