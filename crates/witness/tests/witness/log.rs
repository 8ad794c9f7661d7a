//! A log of leaves `entry <i>` that signs whatever it is told to, forks too.

use std::convert::Infallible;

use tlog::{
    AddCheckpoint, Checkpoint, Error, Frontier, Hash, KeyAlgorithm, Node, SignedCheckpoint, SigningKey,
    leaf_hash, prove_consistency,
};

pub(crate) const ORIGIN: &str = "a.example/log";

/// A log and its key.
pub(crate) struct Log {
    key: SigningKey,
    leaves: Vec<Hash>,
}

impl Log {
    /// 100 leaves.
    pub(crate) fn new() -> Self {
        Self::forked_at(100, "")
    }

    /// The same key, and leaves of another `history` from `index` on.
    pub(crate) fn forked_at(index: usize, history: &str) -> Self {
        let leaf = |i| if i < index { format!("entry {i}") } else { format!("{history} {i}") };
        Self {
            key: SigningKey::from_seed(ORIGIN, KeyAlgorithm::Ed25519, &[1; 32]).unwrap(),
            leaves: (0..100).map(|i| leaf_hash(leaf(i).as_bytes())).collect(),
        }
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let root = root(&self.leaves[..usize::try_from(size).unwrap()]);
        Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&self.key).unwrap()
    }

    pub(crate) fn prove(&self, old: u64, new: u64) -> Vec<Hash> {
        let mut read = |node: Node| {
            let width = 1 << node.level;
            let start = usize::try_from(node.index).unwrap() * width;
            Ok::<_, Error>(root(&self.leaves[start..start + width]))
        };
        prove_consistency(old, new, &mut read).unwrap()
    }

    /// What the client asks for proofs from.
    pub(crate) fn prover(&self, new: u64) -> impl FnMut(u64) -> Result<Vec<Hash>, Infallible> + '_ {
        move |old| Ok(self.prove(old, new))
    }

    /// A correct request from `old` to `new`.
    pub(crate) fn request(&self, old: u64, new: u64) -> AddCheckpoint {
        AddCheckpoint::new(old, self.prove(old, new), self.checkpoint(new).into_note()).unwrap()
    }
}

fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}
