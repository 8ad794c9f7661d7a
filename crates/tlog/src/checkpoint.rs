//! Checkpoints (C2SP tlog-checkpoint): origin, size and root, signed by the log.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Hash, Note, SigningKey, VerifierKey, decimal};

const FORMAT: &str = "checkpoint";

/// What a log commits to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

/// A checkpoint in its note, with all its signatures; not verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl Checkpoint {
    /// Reads the checkpoint of a log that is not ours: extension lines may follow and are passed over, as
    /// a cosignature makes no statement about them.
    ///
    /// # Errors
    ///
    /// [`Error::Format`], also for an empty extension line; [`Error::Base64`], [`Error::Length`].
    pub fn with_extensions(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format(FORMAT, why);
        let end = text.match_indices('\n').nth(2).map(|(newline, _)| newline + 1);
        let (checkpoint, extensions) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
        if !extensions.is_empty() && !extensions.ends_with('\n') {
            return Err(wrong("the last line does not end"));
        }
        if extensions.split_terminator('\n').any(str::is_empty) {
            return Err(wrong("an extension line is empty"));
        }
        checkpoint.parse()
    }

    /// The note with the log's signature.
    ///
    /// # Errors
    ///
    /// [`Error::Origin`] unless the key is of this very origin, [`Error::Format`].
    pub fn sign(self, key: &SigningKey) -> Result<SignedCheckpoint, Error> {
        if key.name() != self.origin {
            return Err(Error::Origin { found: self.origin, expected: key.name().to_owned() });
        }
        let mut note = Note::unsigned(self.to_string())?;
        note.sign(key)?;
        Ok(SignedCheckpoint { checkpoint: self, note })
    }
}

impl SignedCheckpoint {
    /// What is committed to, by the note's own word.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The note, to add signatures.
    pub fn into_note(self) -> Note {
        self.note
    }

    /// What is committed to, once the log's signature is checked.
    ///
    /// # Errors
    ///
    /// [`Error::Origin`], [`Error::NotSigned`], [`Error::BadSignature`].
    pub fn verify(&self, log: &VerifierKey) -> Result<&Checkpoint, Error> {
        if self.checkpoint.origin != log.name() {
            return Err(Error::Origin {
                found: self.checkpoint.origin.clone(),
                expected: log.name().to_owned(),
            });
        }
        self.note.verify(log)?;
        Ok(&self.checkpoint)
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    /// Exactly three lines: extension lines are covered by no auditor, so we take none.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format(FORMAT, why);
        let mut lines =
            text.strip_suffix('\n').ok_or_else(|| wrong("the last line does not end"))?.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(wrong("not three lines"));
        };
        if origin.is_empty() {
            return Err(wrong("no origin"));
        }
        let size = decimal(size).ok_or_else(|| wrong("the size is not a number in its one spelling"))?;
        Ok(Self { origin: origin.to_owned(), size, root: Hash::from_base64(root)? })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

impl FromStr for SignedCheckpoint {
    type Err = Error;

    fn from_str(note: &str) -> Result<Self, Error> {
        let note: Note = note.parse()?;
        Ok(Self { checkpoint: note.text().parse()?, note })
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::KeyAlgorithm;

    const SIGNED: &str = "tags.example/log\n3\nlPvQ3YNvUDAWkubQ6t5yjuGexSv/8WBu2AfIV11aqhk=\n\n— tags.example/log GUeqRAAuA2x4XSr1DxBcMhZ3eLPt+jCCIR+33hNviOATGfvUBz18bhpkep7gPGIlgVFiIzGySKSCgJwIJ0OoUvJk9wA=\n";

    fn key() -> SigningKey {
        SigningKey::from_seed("tags.example/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap()
    }

    #[test]
    fn the_known_checkpoint_verifies_and_is_made_again() {
        let signed: SignedCheckpoint = SIGNED.parse().unwrap();
        let checkpoint = signed.verify(&key().verifier()).unwrap().clone();
        assert_eq!(checkpoint.size, 3);
        assert_eq!(checkpoint.sign(&key()).unwrap().to_string(), SIGNED);
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused() {
        let signed: SignedCheckpoint = SIGNED.parse().unwrap();
        let other = SigningKey::from_seed("other.example/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        assert!(matches!(signed.verify(&other.verifier()), Err(Error::Origin { .. })));
        assert!(matches!(signed.checkpoint().clone().sign(&other), Err(Error::Origin { .. })));
    }

    #[test]
    fn extension_lines_and_other_spellings_are_refused() {
        let root = Hash::EMPTY;
        for wrong in [
            format!("a\n1\n{root}\nextension\n"),
            format!("a\n01\n{root}\n"),
            format!("a\n1\n{root}"),
            format!("\n1\n{root}\n"),
            "a\n1\nAAAA\n".to_owned(),
            "a\n1\n".to_owned(),
        ] {
            assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn extension_lines_of_other_logs_are_passed_over() {
        let plain = format!("a\n1\n{}\n", Hash::EMPTY);
        let checkpoint: Checkpoint = plain.parse().unwrap();
        for extensions in ["", "one\n", "one\ntwo\n"] {
            assert_eq!(Checkpoint::with_extensions(&format!("{plain}{extensions}")).unwrap(), checkpoint);
        }
        for wrong in ["one", "\n", "one\n\n", "\none\n"] {
            assert!(Checkpoint::with_extensions(&format!("{plain}{wrong}")).is_err(), "{wrong:?}");
        }
        for wrong in ["", "a\n1\n", "\n1\nAAAA\nx\n", "\n\n\n\n"] {
            assert!(Checkpoint::with_extensions(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_and_printing_are_inverse(origin in "[a-z./]{1,20}", size: u64, root: [u8; 32]) {
            let checkpoint = Checkpoint { origin, size, root: Hash::from_bytes(root) };
            prop_assert_eq!(checkpoint.to_string().parse::<Checkpoint>().unwrap(), checkpoint);
        }
    }
}
