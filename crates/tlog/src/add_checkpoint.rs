//! What a log sends to a witness (C2SP tlog-witness `add-checkpoint`): the size that the witness holds,
//! a consistency proof from there, and the new checkpoint.
//!
//! Only the container: who signed, and whether the proof holds, is the witness's matter.

use std::fmt;
use std::str::FromStr;

use crate::note::MAX_NOTE;
use crate::{Checkpoint, Error, Hash, Note, decimal};

const FORMAT: &str = "add-checkpoint request";
/// Hashes of a consistency proof; the specification allows no more.
const MAX_HASHES: usize = 63;
/// `old`, a space, 20 digits, and the two newlines that are not a hash's.
const MAX_FRAME: usize = 26;

/// A parsed request; nothing is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    old: u64,
    proof: Vec<Hash>,
    note: Note,
    checkpoint: Checkpoint,
}

impl AddCheckpoint {
    /// Bytes of a request, at most.
    pub const MAX_BYTES: usize = MAX_FRAME + MAX_HASHES * 45 + MAX_NOTE;

    /// A request to go on from `old` leaves to the checkpoint in `note`.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for more than 63 hashes, or a note that holds no checkpoint.
    pub fn new(old: u64, proof: Vec<Hash>, note: Note) -> Result<Self, Error> {
        if proof.len() > MAX_HASHES {
            return Err(Error::format(FORMAT, "more than 63 hashes"));
        }
        let checkpoint = Checkpoint::with_extensions(note.text())?;
        Ok(Self { old, proof, note, checkpoint })
    }

    /// Leaves that the witness holds, by the sender's word.
    pub fn old(&self) -> u64 {
        self.old
    }

    /// From `old` to the checkpoint.
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The checkpoint with all its signatures and extension lines.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// What the note commits to.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl FromStr for AddCheckpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format(FORMAT, why);
        let (head, note) =
            text.split_once("\n\n").ok_or_else(|| wrong("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let old = old.ok_or_else(|| wrong("the first line is not `old` and a size"))?;
        // One more than allowed is enough to be refused.
        let proof = lines.take(MAX_HASHES + 1).map(Hash::from_base64).collect::<Result<Vec<_>, _>>()?;
        Self::new(old, proof, note.parse()?)
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{KeyAlgorithm, SignatureLine, SigningKey};

    fn signed(extension: &str) -> Note {
        let key = SigningKey::from_seed("a/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        let mut note = Note::unsigned(format!("a/log\n9\n{}\n{extension}", Hash::EMPTY)).unwrap();
        note.sign(&key).unwrap();
        note
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        let good = AddCheckpoint::new(3, vec![Hash::from_bytes([2; 32])], signed("")).unwrap().to_string();
        assert!(good.parse::<AddCheckpoint>().is_ok());
        for (from, to) in [
            ("old 3\n", ""),
            ("old 3\n", "old 03\n"),
            ("old 3\n", "old  3\n"),
            ("old 3\n", "old -3\n"),
            ("old 3\n", "Old 3\n"),
            ("old 3\n", "old 3 \n"),
            ("old 3\n", "old 3\r\n"),
            ("AgIC", "AgI"),
            ("\n\n", "\n"),
            ("\n9\n", "\nnine\n"),
        ] {
            assert!(good.replacen(from, to, 1).parse::<AddCheckpoint>().is_err(), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn as_many_hashes_as_allowed_fit_and_one_more_is_refused() {
        let with = |count| AddCheckpoint::new(3, vec![Hash::EMPTY; count], signed(""));
        let most = with(63).unwrap().to_string();
        assert!(most.parse::<AddCheckpoint>().is_ok());
        assert!(with(64).is_err());
        assert!(
            most.replacen("old 3\n", &format!("old 3\n{}\n", Hash::EMPTY), 1)
                .parse::<AddCheckpoint>()
                .is_err()
        );
    }

    #[test]
    fn a_request_as_long_as_can_be_is_within_the_bound() {
        let mut note = signed("");
        for number in 0..20 {
            note.push(SignatureLine::new("grease", [number; 4], vec![number; 64]).unwrap());
        }
        let request = AddCheckpoint::new(u64::MAX, vec![Hash::EMPTY; 63], note).unwrap();
        let (text, note) = (request.to_string(), request.note().to_string());
        assert!(text.parse::<AddCheckpoint>().is_ok());
        assert_eq!(text.len() - note.len() + MAX_NOTE, AddCheckpoint::MAX_BYTES);
    }

    proptest! {
        #[test]
        fn parsing_and_printing_are_inverse(old: u64, proof in prop::collection::vec(any::<[u8; 32]>(), 0..=63), extension in "([a-z]{1,9}\n){0,3}") {
            let proof = proof.into_iter().map(Hash::from_bytes).collect();
            let request = AddCheckpoint::new(old, proof, signed(&extension)).unwrap();
            prop_assert_eq!(request.to_string().parse::<AddCheckpoint>().unwrap(), request);
        }

        #[test]
        fn what_parses_is_what_prints(head in "(old [0-9]{1,3}\n)?([A-Za-z0-9+/]{43}=\n){0,3}\n?") {
            let text = format!("{head}{}", signed(""));
            if let Ok(request) = text.parse::<AddCheckpoint>() {
                prop_assert_eq!(request.to_string(), text);
            }
        }
    }
}
