//! The logs whose checkpoints are cosigned: origins, the keys trusted for them, and monitoring paths.
//!
//! Fixed while the witness runs. Knows nothing of what was cosigned.

use std::collections::BTreeMap;

use tlog::{Error as NoteError, Hash, KeyAlgorithm, Note, VerifierKey};

use super::Error;

/// One log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// The first line of its checkpoints.
    pub origin: String,
    /// Its keys; one signature of one of them is enough, and none of them may be wrong.
    pub keys: Vec<VerifierKey>,
}

/// All logs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Logs {
    keys: BTreeMap<String, Vec<VerifierKey>>,
    /// By the hexadecimal hash of the origin.
    paths: BTreeMap<String, String>,
}

/// No signature of a trusted key, or one that does not verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Untrusted;

impl Logs {
    /// A set of logs.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] for an origin that stands twice, one without keys, or a key that signs no notes.
    pub fn new(logs: impl IntoIterator<Item = Log>) -> Result<Self, Error> {
        let mut all = Self::default();
        for Log { origin, keys } in logs {
            let wrong = |why| Error::Log { origin: origin.clone(), why };
            if keys.is_empty() {
                return Err(wrong("no key is trusted for it"));
            }
            if keys.iter().any(|key| key.algorithm() != KeyAlgorithm::Ed25519) {
                return Err(wrong("a log's key has to be Ed25519"));
            }
            if all.paths.insert(Hash::of(&origin).to_hex(), origin.clone()).is_some() {
                return Err(wrong("it stands here twice"));
            }
            all.keys.insert(origin, keys);
        }
        Ok(all)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys of a log.
    pub(super) fn keys_of(&self, origin: &str) -> Option<&[VerifierKey]> {
        self.keys.get(origin).map(Vec::as_slice)
    }

    /// The origin whose SHA-256 is `hash` in lower-case hexadecimal.
    pub(super) fn origin_of(&self, hash: &str) -> Option<&str> {
        self.paths.get(hash).map(String::as_str)
    }
}

/// The note with the signatures of `keys` alone: lines of other keys could be anybody's.
pub(super) fn verified(note: &Note, keys: &[VerifierKey]) -> Result<Note, Untrusted> {
    let mut verified = Note::unsigned(note.text().to_owned()).map_err(|_why| Untrusted)?;
    for key in keys {
        match note.verify(key) {
            Ok(()) => note.lines_of(key).take(1).for_each(|line| verified.push(line.clone())),
            Err(NoteError::NotSigned { .. }) => {}
            Err(_wrong) => return Err(Untrusted),
        }
    }
    if verified.signatures().is_empty() { Err(Untrusted) } else { Ok(verified) }
}

#[cfg(test)]
mod tests {
    use tlog::{SignatureLine, SigningKey};

    use super::*;

    fn key(seed: u8, algorithm: KeyAlgorithm) -> SigningKey {
        SigningKey::from_seed("a/log", algorithm, &[seed; 32]).unwrap()
    }

    fn log(keys: &[SigningKey]) -> Log {
        Log { origin: "a/log".to_owned(), keys: keys.iter().map(SigningKey::verifier).collect() }
    }

    #[test]
    fn logs_that_cannot_be_checked_are_refused() {
        let good = key(1, KeyAlgorithm::Ed25519);
        assert_eq!(Logs::new([log(std::slice::from_ref(&good))]).unwrap().len(), 1);
        for wrong in [
            vec![log(&[])],
            vec![log(&[key(2, KeyAlgorithm::CosignatureV1)])],
            vec![log(std::slice::from_ref(&good)), log(std::slice::from_ref(&good))],
        ] {
            assert!(matches!(Logs::new(wrong), Err(Error::Log { .. })));
        }
    }

    #[test]
    fn one_signature_is_enough_and_a_wrong_one_spoils_the_note() {
        let (one, two) = (key(1, KeyAlgorithm::Ed25519), key(2, KeyAlgorithm::Ed25519));
        let keys = [one.verifier(), two.verifier()];
        let mut note = Note::unsigned("a/log\n0\n".to_owned()).unwrap();
        assert_eq!(verified(&note, &keys), Err(Untrusted));
        note.push(SignatureLine::new("stranger", [9; 4], vec![9; 64]).unwrap());
        assert_eq!(verified(&note, &keys), Err(Untrusted));
        note.sign(&two).unwrap();
        assert_eq!(verified(&note, &keys).unwrap().signatures(), &note.signatures()[1..]);
        note.push(SignatureLine::new("a/log", one.verifier().id(), vec![9; 64]).unwrap());
        assert_eq!(verified(&note, &keys), Err(Untrusted));
    }
}
