//! What others show of the same log: one history, or a fork.

use serde::Serialize;
use tlog::{Hash, SignedCheckpoint, VerifierKey};

use crate::Error;
use crate::memory::require_continuation;
use crate::source::{MAX_NOTE, Source};
use crate::tree::Tree;
use crate::trust::Trust;

/// One of the others.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Comparison {
    /// Where.
    pub place: String,
    /// What it shows.
    pub outcome: Compared,
}

/// What one of the others shows.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Compared {
    /// A tree of the same history.
    Agrees {
        /// Its size.
        size: u64,
    },
    /// A larger tree than the log itself shows, so that it could not be compared: a log shows a tree
    /// when enough witnesses have cosigned it.
    Ahead {
        /// Its size.
        size: u64,
    },
    /// No checkpoint of the log.
    Nothing {
        /// Why.
        why: String,
    },
}

/// What was fetched from one of the others.
#[derive(Debug)]
pub(super) struct Shown {
    place: String,
    checkpoint: Result<SignedCheckpoint, Error>,
}

/// Fetches the checkpoint that a mirror or auditor (`checkpoint`), a witness (`<hash of the log's
/// name>/checkpoint`, C2SP tlog-witness) or a service (`log/checkpoint`) shows; not verified yet.
pub(super) async fn fetch(source: &Source, trust: &Trust) -> Shown {
    Shown { place: source.place(""), checkpoint: checkpoint(source, trust).await }
}

/// Compares a tree with what others show, and adds those of their checkpoints that belong to it to
/// `known`.
///
/// # Errors
///
/// [`Error::Fault`] with a fork.
pub(super) async fn all(
    tree: &mut Tree,
    others: Vec<Shown>,
    log: &VerifierKey,
    known: &mut Vec<SignedCheckpoint>,
) -> Result<Vec<Comparison>, Error> {
    let mut comparisons = Vec::new();
    for Shown { place, checkpoint } in others {
        let nothing = |error: &dyn std::error::Error| Compared::Nothing { why: error.to_string() };
        let outcome = match checkpoint {
            Err(error) => nothing(&error),
            Ok(shown) => match shown.verify(log) {
                Err(error) => nothing(&error),
                Ok(checkpoint) if checkpoint.size <= tree.checkpoint().size => {
                    require_continuation(tree, &shown).await?;
                    let size = checkpoint.size;
                    known.push(shown);
                    Compared::Agrees { size }
                }
                Ok(_larger) => ahead(tree, &shown, log).await?,
            },
        };
        comparisons.push(Comparison { place, outcome });
    }
    Ok(comparisons)
}

/// The log may have grown while we looked around.
async fn ahead(tree: &mut Tree, shown: &SignedCheckpoint, log: &VerifierKey) -> Result<Compared, Error> {
    let size = shown.checkpoint().size;
    let source = tree.source().clone();
    let newer = source.checkpoint().await?;
    match newer.verify(log) {
        Ok(checkpoint) if checkpoint.size >= size => {}
        _ => return Ok(Compared::Ahead { size }),
    }
    let mut newer = Tree::open(&source, None, &newer).await?;
    require_continuation(&mut newer, tree.signed()).await?;
    require_continuation(&mut newer, shown).await?;
    Ok(Compared::Agrees { size })
}

async fn checkpoint(source: &Source, trust: &Trust) -> Result<SignedCheckpoint, Error> {
    let mut paths = vec!["checkpoint".to_owned()];
    for name in trust.logs().iter().map(VerifierKey::name) {
        paths.push(format!("{}/checkpoint", Hash::of(name).to_hex()));
    }
    paths.push("log/checkpoint".to_owned());
    for path in &paths {
        let Some(bytes) = source.read(path, MAX_NOTE).await? else { continue };
        let malformed = |error| Error::Malformed { place: source.place(path), source: error };
        return String::from_utf8_lossy(&bytes).parse().map_err(malformed);
    }
    Err(Error::Missing { place: source.place("checkpoint") })
}
