//! A log that continues another one: its leaf 0 names the end of the log before it.
//!
//! Followed only where the client trusts both keys, and only if the successor drops nothing that
//! the client saw of the log before.

use serde::Serialize;
use taglog::{Leaf, Previous};

use crate::Error;
use crate::evidence::{Fault, Finding, SignedLeaf};
use crate::remembered::Remembered;
use crate::tree::Tree;

/// The step from one log to the next.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Succession {
    /// The log before.
    pub previous: String,
    /// Its leaves, by the successor's word.
    pub size: u64,
    /// What the client remembered of it.
    pub remembered: u64,
    /// Whether that is exactly its end; otherwise the client saw less of it, and what came between
    /// is not compared.
    pub compared: bool,
}

/// Whether a log continues one that the client remembers. Asked each time: what the client saw of either
/// may have been without the tiles of the other.
///
/// # Errors
///
/// [`Error::Fault`] for a successor that drops or changes what the client saw.
pub(super) async fn follow(tree: &mut Tree, remembered: &Remembered) -> Result<Option<Succession>, Error> {
    let leaf = tree.leaf(0).await?;
    let Ok(Leaf::Log { previous: Some(previous), .. }) = Leaf::parse(&leaf) else { return Ok(None) };
    let Previous { origin, size, root } = previous;
    for (state, latest) in remembered.of(&origin) {
        let seen = latest.checkpoint();
        if seen.size < size || (seen.size, seen.root) == (size, root) {
            continue;
        }
        let why = format!(
            "as the successor of `{origin}` it continues a tree of size {size} that is not the one of size {} which that log signed",
            seen.size
        );
        let fault = Fault::Succession {
            previous_log: state.log().clone(),
            previous: latest.clone(),
            successor: tree.signed().clone(),
            leaf: SignedLeaf { index: 0, leaf, proof: tree.inclusion(0).await? },
        };
        return Err(Finding::new(why, fault).into());
    }
    let seen = remembered.largest(&origin).map(|latest| latest.checkpoint().size);
    Ok(seen.map(|seen| Succession { previous: origin, size, remembered: seen, compared: seen == size }))
}
