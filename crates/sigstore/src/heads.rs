//! The newest checkpoint of each tree of Rekor v1 that was seen: the next one has to continue it, or to come before it.
//!
//! A log that shows us another history than everybody else signs both; it cannot join them again. Kept in a file where
//! there is one, so that a restart forgets nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sigstore_crypto::Checkpoint;
use tlog::Hash;

use crate::entry::{hash, unhex};
use crate::error::{Check, Error};
use crate::rekor1::Rekor1;
use crate::statement::hex;

/// By the log's id and the first line of the checkpoint, which names log and tree: with another key it is another log.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    path: Option<PathBuf>,
    newest: Mutex<BTreeMap<String, Head>>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    size: u64,
    /// Hexadecimal.
    root: String,
}

impl Heads {
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, Error> {
        let newest = match path.as_deref().map(std::fs::read) {
            None => BTreeMap::new(),
            Some(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Some(read) => {
                let wrong = |why: String| Error::File { path: path.clone().unwrap_or_default(), why };
                let bytes = read.map_err(|error| wrong(error.to_string()))?;
                if bytes.is_empty() {
                    // What a power cut may leave on some file systems.
                    tracing::warn!(path = ?path, "Rekor's newest checkpoints are not there any more");
                    BTreeMap::new()
                } else {
                    serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?
                }
            }
        };
        Ok(Self { path, newest: Mutex::new(newest) })
    }

    /// Holds an entry's checkpoint, which its log signed, against the newest one before.
    pub(crate) async fn follow(&self, rekor: &Rekor1<'_>, log: &[u8], note: &str) -> Result<(), Error> {
        let wrong = |why: &str| Error::failed(Check::Origin, &why);
        let checkpoint = Checkpoint::from_text(note).map_err(|_why| wrong("its checkpoint is none"))?;
        let name = &format!("{} {}", hex(log), checkpoint.origin());
        let shown = Head { size: checkpoint.tree_size(), root: hex(checkpoint.root_hash().as_bytes()) };
        let known = self.lock().get(name).cloned();
        let Some(known) = known else {
            self.keep(name, shown);
            return Ok(());
        };
        let (first, last) = if known.size <= shown.size { (&known, &shown) } else { (&shown, &known) };
        let hashes = if first.size == last.size {
            Vec::new()
        } else {
            let tree = name.rsplit_once(" - ").map(|(_, tree)| tree).unwrap_or_default();
            rekor.consistency(first.size, last.size, tree).await?
        };
        let follows = match (first.hash(), last.hash()) {
            (Some(before), Some(after)) => {
                tlog::verify_consistency(first.size, before, last.size, after, &hashes).is_ok()
            }
            _ => false,
        };
        if !follows {
            tracing::error!(log = %name, known = known.size, shown = shown.size, "Rekor shows two histories");
            let kept = self.path.clone().unwrap_or_else(|| "heads.json".into());
            return Err(Error::Forked { log: name.clone(), kept });
        }
        if shown.size > known.size {
            self.keep(name, shown);
        }
        Ok(())
    }

    /// The newest stays, whatever came in between.
    fn keep(&self, name: &str, shown: Head) {
        let mut newest = self.lock();
        if newest.get(name).is_none_or(|known| known.size < shown.size) {
            newest.insert(name.to_owned(), shown);
            self.write(&newest);
        }
    }

    /// Whole or not at all. Without it nothing is lost but what the next process could compare.
    fn write(&self, newest: &BTreeMap<String, Head>) {
        let Some(path) = &self.path else { return };
        let beside = path.with_extension("new");
        let text = serde_json::to_vec(newest).unwrap_or_default();
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let whole = || {
            let mut file = File::create(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        };
        let written = made.and_then(|()| whole());
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "Rekor's newest checkpoint cannot be written down");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Head>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Head {
    fn hash(&self) -> Option<Hash> {
        hash(&unhex(&self.root)?)
    }
}
