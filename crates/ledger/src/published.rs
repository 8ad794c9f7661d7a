//! Checkpoints and the state of the log at their sizes: what is durable and signed, and what of it is served with which
//! signatures. Each is swapped as a whole. It must not know how batches are made or when one is published.

use std::fmt::{self, Write as _};
use std::ops::Deref;
use std::sync::Arc;

use taglog::TagMap;
use tlog::{Frontier, Hash, SignatureLine};

use crate::edge::Edge;
use crate::randomness::Randomness;

/// Name on the signature line that no verifier knows.
const GREASE: &str = "grease.invalid";

/// A durable checkpoint that the log has signed, and the state of the log at its size. What witnesses are asked to
/// cosign; it may not be published yet.
pub struct Signed {
    /// The checkpoint with the log's own signatures and no others.
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

/// A checkpoint that may leave the process; dereferences to the state of the log at its size.
#[derive(Debug)]
pub struct Published {
    /// The checkpoint as it is served: the log's signatures, cosignatures, and one line that nobody can check.
    pub note: Arc<str>,
    pub(crate) signed: Arc<Signed>,
}

impl Published {
    /// `signed` with the cosignatures `lines`. It gets one more signature line that nobody can check, different each
    /// time, so that verifiers which stumble over unknown keys are noticed early.
    pub(crate) fn new(signed: Arc<Signed>, lines: &[SignatureLine], randomness: &Randomness) -> Self {
        let note = with_lines(&signed.note, lines, randomness).into();
        Self { note, signed }
    }
}

/// `note` with the signature lines `lines` and one of noise.
pub(crate) fn with_lines(note: &str, lines: &[SignatureLine], randomness: &Randomness) -> String {
    let mut note = note.to_owned();
    for line in lines.iter().chain(&grease(randomness)) {
        // Writing to a String does not fail.
        let _infallible = writeln!(note, "{line}");
    }
    note
}

impl Deref for Published {
    type Target = Signed;

    fn deref(&self) -> &Signed {
        &self.signed
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("size", &self.size).field("root", &self.root).finish_non_exhaustive()
    }
}

fn grease(randomness: &Randomness) -> Option<SignatureLine> {
    let (id, noise) = (randomness.bytes::<4>()?, randomness.bytes::<16>()?);
    SignatureLine::new(GREASE, id, noise.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use tlog::{Checkpoint, KeyAlgorithm, SignedCheckpoint, SigningKey};

    use super::*;

    #[test]
    fn a_published_note_carries_cosignatures_and_one_line_of_noise() {
        let key = SigningKey::from_seed("a/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        let checkpoint = Checkpoint { origin: "a/log".to_owned(), size: 2, root: Hash::EMPTY };
        let signed = Arc::new(Signed {
            note: checkpoint.sign(&key).unwrap().to_string().into(),
            size: 2,
            root: Hash::EMPTY,
            map: TagMap::new(),
            before: Frontier::new(),
            time: 0,
            edge: Edge::default(),
        });
        let cosignature = SignatureLine::new("w", [1; 4], vec![2; 72]).unwrap();
        let seven = Randomness::new(|bytes| {
            bytes.fill(7);
            true
        });
        let published = Published::new(Arc::clone(&signed), std::slice::from_ref(&cosignature), &seven);
        let note: SignedCheckpoint = published.note.parse().unwrap();
        note.verify(&key.verifier()).unwrap();
        let [_, second, third] = note.note().signatures() else { panic!("{}", published.note) };
        assert_eq!(*second, cosignature);
        assert_eq!((third.name(), third.id(), third.signature()), (GREASE, [7; 4], &[7; 16][..]));
        let silent = Published::new(signed, &[], &Randomness::new(|_| false));
        assert_eq!(silent.note, silent.signed.note);
    }
}
