//! What readers see: the published checkpoint with everything needed to prove and serve under it, swapped as a whole
//! after its batch is durable. It must not know how batches are made.

use std::sync::Arc;

use taglog::TagMap;
use tlog::{Frontier, Hash};

use crate::edge::Edge;

/// A checkpoint that may leave the process, and the state of the log at its size.
#[derive(Debug)]
pub struct Published {
    /// The signed checkpoint, as `/log/checkpoint` serves it.
    pub note: Arc<str>,
    /// Its size; the last leaf is an `index` leaf.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The tag map over the leaves before the last.
    pub map: TagMap,
    /// The tree without its last leaf; its hashes are the last leaf's inclusion proof.
    pub before: Frontier,
    /// Unix seconds of the last leaf that has a time; 0 for none.
    pub time: u64,
    /// Partial tiles at `size`.
    pub(crate) edge: Edge,
}

/// The newest durable state and the published one. They are the same tree as long as nothing holds a checkpoint back.
#[derive(Debug)]
pub(crate) struct Head {
    /// The map over all durable leaves.
    pub(crate) map: TagMap,
    /// The published checkpoint.
    pub(crate) published: Arc<Published>,
}
