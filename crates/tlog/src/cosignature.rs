//! Cosignatures of checkpoints (C2SP tlog-cosignature, `cosignature/v1`, key type 0x04).

use crate::{Error, KeyAlgorithm, Note, SignatureLine, SigningKey, VerifierKey};

/// A cosigner's line over a checkpoint note's text at `time` (Unix seconds).
///
/// # Errors
///
/// [`Error::Format`] for a key that is not a cosigner's.
pub fn cosign(note: &Note, key: &SigningKey, time: u64) -> Result<SignatureLine, Error> {
    if key.algorithm() != KeyAlgorithm::CosignatureV1 {
        return Err(Error::format("cosignature", "the key is not a cosigner's"));
    }
    let mut blob = time.to_be_bytes().to_vec();
    blob.extend_from_slice(&key.sign(&message(note, time)));
    SignatureLine::new(key.name(), key.verifier().id(), blob)
}

/// The time (Unix seconds) of `key`'s cosignature of a checkpoint; the newest, where it has several.
///
/// # Errors
///
/// [`Error::NotSigned`], or [`Error::BadSignature`] when one of its lines does not verify.
pub fn verify_cosignature(note: &Note, key: &VerifierKey) -> Result<u64, Error> {
    let bad = || Error::BadSignature { key: key.name().to_owned() };
    let mut newest = None;
    for line in note.lines_of(key) {
        let (time, signature) = line.signature().split_first_chunk::<8>().ok_or_else(bad)?;
        let time = u64::from_be_bytes(*time);
        key.verify(&message(note, time), signature)?;
        newest = newest.max(Some(time));
    }
    newest.ok_or_else(|| Error::NotSigned { key: key.name().to_owned() })
}

fn message(note: &Note, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{}", note.text()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "tags.example/log\n3\nlPvQ3YNvUDAWkubQ6t5yjuGexSv/8WBu2AfIV11aqhk=\n";
    const LINE: &str = "— witness.example/w1 3xwKNQAAAABlU/EAeLnj1ryqg3KeYPuA25/OEmX0+WEBfuF8SGca0CCotOHLvewIEZYJVFmVvf86krlEfjh6ndbiDMJnfaQ3Nbt9Dg==";

    fn witness() -> SigningKey {
        SigningKey::from_seed("witness.example/w1", KeyAlgorithm::CosignatureV1, &[2; 32]).unwrap()
    }

    #[test]
    fn the_known_cosignature_verifies_and_is_made_again() {
        let mut note = Note::unsigned(TEXT.to_owned()).unwrap();
        assert_eq!(cosign(&note, &witness(), 1_700_000_000).unwrap().to_string(), LINE);
        note.push(LINE.parse().unwrap());
        assert_eq!(verify_cosignature(&note, &witness().verifier()).unwrap(), 1_700_000_000);
    }

    #[test]
    fn a_cosignature_of_another_time_or_text_is_refused() {
        let mut note = Note::unsigned(TEXT.replace("\n3\n", "\n4\n")).unwrap();
        note.push(LINE.parse().unwrap());
        assert!(matches!(verify_cosignature(&note, &witness().verifier()), Err(Error::BadSignature { .. })));
        let line: SignatureLine = LINE.parse().unwrap();
        let mut blob = line.signature().to_vec();
        blob[7] ^= 1;
        let mut note = Note::unsigned(TEXT.to_owned()).unwrap();
        note.push(SignatureLine::new(line.name(), line.id(), blob).unwrap());
        assert!(matches!(verify_cosignature(&note, &witness().verifier()), Err(Error::BadSignature { .. })));
    }

    #[test]
    fn a_log_key_does_not_cosign() {
        let note = Note::unsigned(TEXT.to_owned()).unwrap();
        let log = SigningKey::from_seed("tags.example/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        assert!(cosign(&note, &log, 1).is_err());
        assert!(matches!(verify_cosignature(&note, &witness().verifier()), Err(Error::NotSigned { .. })));
    }
}
