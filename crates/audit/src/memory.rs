//! A served tree against what is remembered of its log: the same history, or evidence that it is not.

use serde::Serialize;
use tlog::{SignedCheckpoint, verify_consistency};

use crate::Error;
use crate::evidence::{Fault, Finding};
use crate::source::Source;
use crate::tree::Tree;

/// How a checkpoint stands to what is remembered of its log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Memory {
    /// Nothing is remembered, by the caller's wish.
    Off,
    /// The first checkpoint of this log that was ever seen: taken on trust.
    First,
    /// The remembered one.
    Same,
    /// It continues the remembered one.
    Continues {
        /// Size of the remembered one.
        remembered: u64,
    },
    /// It is the beginning of the remembered one: a proof that was saved earlier, or that auditors have cosigned since.
    Earlier {
        /// Size of the remembered one.
        remembered: u64,
    },
    /// The log's tiles were not at hand.
    NotCompared {
        /// Size of the remembered one.
        remembered: u64,
    },
}

/// Checks that a tree begins with another signed one, which is not larger.
///
/// # Errors
///
/// [`Error::Fault`] with a fork, and those of reading the tree.
pub(crate) async fn require_continuation(tree: &mut Tree, older: &SignedCheckpoint) -> Result<(), Error> {
    let (old, new) = (older.checkpoint().clone(), tree.checkpoint().clone());
    let root = tree.root_at(old.size).await?;
    let proof = tree.consistency(old.size).await?;
    if root == old.root {
        return verify_consistency(old.size, old.root, new.size, new.root, &proof)
            .map_err(|source| Error::Malformed { place: tree.source().place(""), source });
    }
    let why = format!(
        "it signed two histories: its tree of size {} does not begin with its tree of size {}",
        new.size, old.size
    );
    let (older, newer) = (older.clone(), tree.signed().clone());
    Err(Finding::new(why, Fault::Fork { other_log: None, older, newer, root, proof }).into())
}

/// Refuses a checkpoint that cannot come after a remembered one, before any tile is asked for: another
/// one of the same size, or a smaller one.
///
/// # Errors
///
/// [`Error::Fault`] with a fork or rollback.
pub(crate) async fn refuse_at_sight(
    source: &Source,
    before: &SignedCheckpoint,
    new: &SignedCheckpoint,
) -> Result<(), Error> {
    if let Some(fork) = fork_of_one_size(before, new) {
        return Err(fork.into());
    }
    let (old_size, size) = (before.checkpoint().size, new.checkpoint().size);
    if size >= old_size {
        return Ok(());
    }
    // The tree that was seen before may still be there, and tell more than that this one is smaller.
    if let Ok(mut tree) = Tree::open(source, None, before).await
        && let Err(Error::Fault(fork)) = require_continuation(&mut tree, new).await
    {
        return Err(Error::Fault(fork));
    }
    let why = format!("it shows a tree of size {size}, and had shown one of size {old_size} before");
    Err(Finding::new(why, Fault::Rollback { other_log: None, first: before.clone(), later: new.clone() })
        .into())
}

/// Two trees of one size have one root.
pub(crate) fn fork_of_one_size(before: &SignedCheckpoint, new: &SignedCheckpoint) -> Option<Finding> {
    let (old, checkpoint) = (before.checkpoint(), new.checkpoint());
    if old.size != checkpoint.size || old.root == checkpoint.root {
        return None;
    }
    let (older, newer) = (before.clone(), new.clone());
    let fault = Fault::Fork { other_log: None, older, newer, root: checkpoint.root, proof: Vec::new() };
    Some(Finding::new(format!("it signed two different trees of size {}", old.size), fault))
}

/// Checks that one of two signed trees of one log begins with the other one, where the larger one can be read.
///
/// # Errors
///
/// [`Error::Fault`] with a fork, and those of reading the larger tree.
pub(crate) async fn require_one_history(
    source: &Source,
    a: &SignedCheckpoint,
    b: &SignedCheckpoint,
) -> Result<(), Error> {
    if a.checkpoint() == b.checkpoint() {
        return Ok(());
    }
    if let Some(fork) = fork_of_one_size(a, b) {
        return Err(fork.into());
    }
    let (older, newer) = if a.checkpoint().size < b.checkpoint().size { (a, b) } else { (b, a) };
    require_continuation(&mut Tree::open(source, None, newer).await?, older).await
}

/// Checks that the larger of a tree and another signed one begins with the other.
///
/// # Errors
///
/// [`Error::Fault`] with a fork, and those of reading the trees.
pub(crate) async fn hold(tree: &mut Tree, other: &SignedCheckpoint) -> Result<(), Error> {
    if other.checkpoint().size <= tree.checkpoint().size {
        return require_continuation(tree, other).await;
    }
    let mut larger = Tree::open(tree.source(), None, other).await?;
    require_continuation(&mut larger, tree.signed()).await
}
