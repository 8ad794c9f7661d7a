//! The witness's key: made once, kept in a file that only this user can read.
//!
//! Knows no database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tlog::{KeyAlgorithm, SigningKey};

use super::Error;

/// A new key.
pub(super) fn generate(name: &str) -> Result<SigningKey, Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Error::Randomness)?;
    let key = SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, &seed);
    key.map_err(|_why| Error::Name { name: name.to_owned() })
}

/// Writes the key to a new file with mode 0600; durable on return.
pub(super) fn write(path: &Path, key: &SigningKey) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", key.to_private_form())?;
        file.sync_all()?;
        sync_directory_of(path)
    };
    write().map_err(|source| Error::File { doing: "write", path: path.to_owned(), source })
}

/// Reads the key of a cosigner.
pub(super) fn read(path: &Path) -> Result<SigningKey, Error> {
    let failed = |source| Error::File { doing: "read", path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(failed)?;
    if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o007 != 0 {
        let path = path.display();
        tracing::warn!(%path, "every user of this machine may read the witness key; `chmod 600` it");
    }
    let key = SigningKey::from_private_form(text.trim_end_matches('\n')).ok();
    let key = key.filter(|key| key.algorithm() == KeyAlgorithm::CosignatureV1);
    key.ok_or_else(|| Error::Key { path: path.to_owned() })
}

/// A file's own sync does not cover its directory entry.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_only_this_user_can() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness.key");
        let key = generate("w.example/1").unwrap();
        write(&path, &key).unwrap();
        assert_eq!(read(&path).unwrap().verifier(), key.verifier());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(write(&path, &key), Err(Error::File { .. })));
    }

    #[test]
    fn what_is_no_key_of_a_witness_is_refused_and_not_printed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness.key");
        let log = SigningKey::from_seed("a/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap().to_private_form();
        for text in ["", "nonsense", log.as_str()] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, Error::Key { .. }), "{error}");
            assert!(!format!("{error:?}").contains(&log));
        }
        assert!(matches!(read(&directory.path().join("none")), Err(Error::File { .. })));
        assert!(matches!(generate("a b"), Err(Error::Name { .. })));
    }
}
