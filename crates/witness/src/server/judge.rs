//! Whether a checkpoint goes on from the one that was cosigned last.
//!
//! Pure. The order of the checks is the specification's.

use tlog::{AddCheckpoint, Error, Hash, verify_consistency};

/// Leaves and root that were cosigned last; those of the empty tree for a log that never was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tree {
    pub(super) size: u64,
    pub(super) root: Hash,
}

/// Why a checkpoint is not cosigned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// 400: it is smaller than where it says it goes on from.
    Backwards,
    /// 409: it does not go on from what was cosigned last.
    Conflict {
        /// Leaves that were cosigned last.
        held: u64,
    },
    /// 422: what is shown does not prove that it goes on from there.
    Unproved(Error),
    /// 422: the log has signed two roots for one size.
    Fork,
}

impl Tree {
    pub(super) const EMPTY: Self = Self { size: 0, root: Hash::EMPTY };

    /// The tree of the request, if it may follow this one.
    pub(super) fn followed_by(self, request: &AddCheckpoint) -> Result<Self, Refusal> {
        let new = Self { size: request.checkpoint().size, root: request.checkpoint().root };
        if request.old() > new.size {
            return Err(Refusal::Backwards);
        }
        if request.old() != self.size {
            return Err(Refusal::Conflict { held: self.size });
        }
        if new.size == self.size && new.root != self.root {
            return Err(Refusal::Fork);
        }
        verify_consistency(self.size, self.root, new.size, new.root, request.proof())
            .map_err(Refusal::Unproved)?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use tlog::{Frontier, Node, Note, leaf_hash, prove_consistency};

    use super::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|index| leaf_hash(format!("entry {index}").as_bytes())).collect()
    }

    fn tree(size: u64) -> Tree {
        let mut frontier = Frontier::new();
        leaves(size).into_iter().for_each(|leaf| frontier.push(leaf));
        Tree { size, root: frontier.root() }
    }

    fn proof(old: u64, new: u64) -> Vec<Hash> {
        let leaves = leaves(new);
        let mut read = |node: Node| {
            let width = 1 << node.level;
            let start = usize::try_from(node.index).unwrap() * width;
            let mut frontier = Frontier::new();
            leaves[start..start + width].iter().for_each(|leaf| frontier.push(*leaf));
            Ok::<_, Error>(frontier.root())
        };
        prove_consistency(old, new, &mut read).unwrap()
    }

    fn request(old: u64, proof: Vec<Hash>, new: Tree) -> AddCheckpoint {
        let note = Note::unsigned(format!("a/log\n{}\n{}\n", new.size, new.root)).unwrap();
        AddCheckpoint::new(old, proof, note).unwrap()
    }

    #[test]
    fn a_log_is_followed_from_nothing_through_every_size() {
        let mut held = Tree::EMPTY;
        for size in [0, 1, 1, 3, 5, 8, 8, 70] {
            let new = tree(size);
            held = held.followed_by(&request(held.size, proof(held.size, size), new)).unwrap();
            assert_eq!(held, new);
        }
    }

    #[test]
    fn whatever_does_not_go_on_from_the_last_checkpoint_is_refused() {
        let other = Hash::of(b"other");
        let held = tree(3);
        let refusal = |old, proof, new| held.followed_by(&request(old, proof, new)).unwrap_err();
        assert_eq!(refusal(4, vec![], held), Refusal::Backwards);
        assert_eq!(refusal(1, proof(1, 5), tree(5)), Refusal::Conflict { held: 3 });
        assert_eq!(refusal(0, vec![], tree(5)), Refusal::Conflict { held: 3 });
        assert_eq!(refusal(2, vec![], tree(2)), Refusal::Conflict { held: 3 });
        assert_eq!(refusal(3, vec![], Tree { size: 3, root: other }), Refusal::Fork);
        assert!(matches!(refusal(3, vec![], tree(5)), Refusal::Unproved(_)));
        assert!(matches!(refusal(3, vec![other], held), Refusal::Unproved(_)));
        assert!(matches!(refusal(3, proof(3, 5), Tree { size: 5, root: other }), Refusal::Unproved(_)));
        let mut wrong = proof(3, 5);
        wrong[0] = other;
        assert!(matches!(refusal(3, wrong, tree(5)), Refusal::Unproved(_)));
    }

    #[test]
    fn the_first_checkpoint_needs_no_proof_and_takes_none() {
        let first = |proof, new| Tree::EMPTY.followed_by(&request(0, proof, new));
        assert_eq!(first(vec![], tree(9)), Ok(tree(9)));
        assert!(matches!(first(vec![Hash::EMPTY], tree(9)), Err(Refusal::Unproved(_))));
        assert_eq!(first(vec![], Tree { size: 0, root: Hash::of(b"x") }), Err(Refusal::Fork));
        assert!(matches!(first(vec![Hash::EMPTY], Tree::EMPTY), Err(Refusal::Unproved(_))));
    }
}
