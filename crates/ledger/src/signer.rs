//! The log key: made once, kept in a file that only this user can read, used for checkpoints and nothing else.
//! It must not know the store.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tlog::{Checkpoint, Hash, KeyAlgorithm, SigningKey, VerifierKey};

use crate::disk::sync_directory_of;
use crate::error::{CreateError, Error, KeyError};

/// Signs the checkpoints of one log; with two keys while the log changes from one to the other.
#[derive(Debug)]
pub(crate) struct Signer {
    key: SigningKey,
    next: Option<SigningKey>,
}

impl Signer {
    /// A new key for the log `origin`.
    pub(crate) fn generate(origin: &str) -> Result<Self, CreateError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(CreateError::Randomness)?;
        let key = SigningKey::from_seed(origin, KeyAlgorithm::Ed25519, &seed);
        let key = key.map_err(|_| CreateError::Origin { origin: origin.to_owned() })?;
        Ok(Self { key, next: None })
    }

    /// Reads the key file; `None` when there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, KeyError> {
        let failed = |source| KeyError::Io { path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            let path = path.display();
            tracing::warn!(%path, "every user of this machine may read the log key; `chmod 600` it");
        }
        let key = SigningKey::from_private_form(text.trim_end_matches('\n'));
        let key = key.map_err(|_| KeyError::Malformed { path: path.to_owned() })?;
        Ok(Some(Self { key, next: None }))
    }

    /// Writes the key to a new file with mode 0600; durable on return.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", self.key.to_private_form())?;
        file.sync_all()?;
        sync_directory_of(path)
    }

    /// Both keys, each signing for itself.
    pub(crate) fn and(self, next: Self) -> Self {
        let next = Some(next.key).filter(|next| next.verifier() != self.key.verifier());
        Self { next, ..self }
    }

    /// The public half of the first key.
    pub(crate) fn verifier(&self) -> VerifierKey {
        self.key.verifier()
    }

    /// The public halves, the one that the log goes by first.
    pub(crate) fn verifiers(&self) -> Vec<VerifierKey> {
        std::iter::once(&self.key).chain(&self.next).map(SigningKey::verifier).collect()
    }

    /// The signed checkpoint: the same bytes for the same tree, however often it is asked for.
    pub(crate) fn note(&self, size: u64, root: Hash) -> Result<String, Error> {
        let checkpoint = Checkpoint { origin: self.key.name().to_owned(), size, root };
        let mut note = checkpoint.sign(&self.key).map_err(Error::Sign)?.into_note();
        if let Some(next) = &self.next {
            note.sign(next).map_err(Error::Sign)?;
        }
        Ok(note.to_string())
    }
}
