//! Signed notes (C2SP signed-note): a text, an empty line, and signature lines.
//!
//! Lines of keys that are not ours to judge are ignored; a line of a known key that does not verify
//! spoils the whole note.

use std::fmt;
use std::str::FromStr;

use crate::key::check_name;
use crate::{Error, KeyAlgorithm, SigningKey, VerifierKey, base64};

/// Bytes of a note, at most.
pub(crate) const MAX_NOTE: usize = 64 * 1024;
/// Signature lines, at most; the specification asks for 16.
const MAX_SIGNATURES: usize = 64;
const FORMAT: &str = "signed note";

/// A parsed note; nothing is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// `— <name> <base64 of key id and signature>`
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SignatureLine {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl Note {
    /// A note of `text`, which ends in a newline, without signatures yet.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for a text that no note can carry.
    pub fn unsigned(text: String) -> Result<Self, Error> {
        check_text(&text)?;
        Ok(Self { text, signatures: Vec::new() })
    }

    /// The signed text, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in order.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a line.
    pub fn push(&mut self, line: SignatureLine) {
        self.signatures.push(line);
    }

    /// Adds the signature of an Ed25519 key over the text.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for a key of another algorithm.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), Error> {
        if key.algorithm() != KeyAlgorithm::Ed25519 {
            return Err(Error::format(FORMAT, "this key signs timestamped checkpoints, not notes"));
        }
        let signature = key.sign(self.text.as_bytes()).to_vec();
        self.push(SignatureLine { name: key.name().to_owned(), id: key.verifier().id(), signature });
        Ok(())
    }

    /// Checks that `key` signed the text.
    ///
    /// # Errors
    ///
    /// [`Error::NotSigned`] without a line of this key, [`Error::BadSignature`] when one of its lines
    /// does not verify.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), Error> {
        let mut lines = self.lines_of(key).peekable();
        if lines.peek().is_none() {
            return Err(Error::NotSigned { key: key.name().to_owned() });
        }
        lines.try_for_each(|line| key.verify(self.text.as_bytes(), &line.signature))
    }

    /// The lines that claim to be of `key`.
    pub fn lines_of<'a>(&'a self, key: &VerifierKey) -> impl Iterator<Item = &'a SignatureLine> + use<'a> {
        let (name, id) = (key.name().to_owned(), key.id());
        self.signatures.iter().filter(move |line| line.name == name && line.id == id)
    }
}

impl SignatureLine {
    /// A line of any key, known or not.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for a name that no line can carry.
    pub fn new(name: &str, id: [u8; 4], signature: Vec<u8>) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), id, signature })
    }

    /// One to 64 lines, each ended by a newline: the last part of a note, and the answer of a witness.
    ///
    /// # Errors
    ///
    /// [`Error::Format`], [`Error::Base64`].
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, Error> {
        let wrong = |why: &str| Error::format("signature lines", why);
        let lines = text.strip_suffix('\n').ok_or_else(|| wrong("the last line does not end"))?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(wrong("more than 64"));
        }
        lines.split('\n').map(str::parse).collect()
    }

    /// Who signed, by the line's own word.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which key, by the line's own word.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// What follows the key id.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl FromStr for Note {
    type Err = Error;

    fn from_str(note: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format(FORMAT, why);
        if note.len() > MAX_NOTE {
            return Err(wrong("longer than 64 KiB"));
        }
        let end = note.rfind("\n\n").ok_or_else(|| wrong("no empty line before the signatures"))?;
        let (text, rest) = note.split_at_checked(end + 1).ok_or_else(|| wrong("cut within a character"))?;
        check_text(text)?;
        let signatures = SignatureLine::parse_lines(rest.strip_prefix('\n').unwrap_or_default())?;
        Ok(Self { text: text.to_owned(), signatures })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for SignatureLine {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format("signature line", why);
        let rest =
            line.strip_prefix("— ").ok_or_else(|| wrong("it does not begin with an em dash and a space"))?;
        let (name, blob) = rest.split_once(' ').ok_or_else(|| wrong("no signature after the name"))?;
        let blob = base64::decode_strict(blob)?;
        let (id, signature) = blob.split_first_chunk::<4>().ok_or_else(|| wrong("no key id"))?;
        if signature.is_empty() {
            return Err(wrong("nothing after the key id"));
        }
        Self::new(name, *id, signature.to_vec())
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blob = self.id.to_vec();
        blob.extend_from_slice(&self.signature);
        write!(f, "— {} {}", self.name, base64::encode(blob))
    }
}

fn check_text(text: &str) -> Result<(), Error> {
    if !text.ends_with('\n') {
        return Err(Error::format(FORMAT, "the text does not end in a newline"));
    }
    if text.chars().any(|c| c != '\n' && c.is_ascii_control()) {
        return Err(Error::format(FORMAT, "the text holds a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const NEUMANN: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn neumann() -> SigningKey {
        SigningKey::from_private_form(KEY).unwrap()
    }

    #[test]
    fn the_notes_of_the_specification_verify() {
        let note: Note = NEUMANN.parse().unwrap();
        note.verify(&neumann().verifier()).unwrap();
        let mut again = Note::unsigned(note.text().to_owned()).unwrap();
        again.sign(&neumann()).unwrap();
        assert_eq!(again.to_string(), NEUMANN);
        let foo = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().unwrap();
        let note: Note = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".parse().unwrap();
        note.verify(&foo).unwrap();
    }

    #[test]
    fn unknown_lines_are_ignored_and_known_bad_ones_spoil_the_note() {
        let mut note: Note = NEUMANN.parse().unwrap();
        for number in 0..20_u8 {
            note.push(SignatureLine::new("grease.example", [number; 4], vec![number; 64]).unwrap());
        }
        let note: Note = note.to_string().parse().unwrap();
        note.verify(&neumann().verifier()).unwrap();
        let mut spoilt = note;
        spoilt.push(SignatureLine::new("PeterNeumann", neumann().verifier().id(), vec![0; 64]).unwrap());
        assert!(matches!(spoilt.verify(&neumann().verifier()), Err(Error::BadSignature { .. })));
    }

    #[test]
    fn a_note_without_the_key_is_not_signed() {
        let note: Note = NEUMANN.parse().unwrap();
        let other = SigningKey::from_seed("other", KeyAlgorithm::Ed25519, &[9; 32]).unwrap().verifier();
        assert!(matches!(note.verify(&other), Err(Error::NotSigned { .. })));
    }

    #[test]
    fn what_is_not_a_note_is_refused() {
        for wrong in [
            "",
            "text\n",
            "text\n\n",
            "text\n\n— x AAAA",
            "text\n\n- x AAAAAAA=\n",
            "text\n\n— x AAAAAA==\n",
            "text\n\n— x  AAAAAAA=\n",
            "te\rxt\n\n— x AAAAAAA=\n",
            "text\n\n— a+b AAAAAAA=\n",
        ] {
            assert!(wrong.parse::<Note>().is_err(), "{wrong:?}");
        }
        let many = "— x AAAAAAA=\n".repeat(65);
        assert!(format!("text\n\n{many}").parse::<Note>().is_err());
    }

    proptest! {
        #[test]
        fn parsing_and_printing_are_inverse(text in "([a-z ]{0,8}\n){1,4}", signatures in prop::collection::vec(("[a-z./]{1,9}", any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 1..80)), 1..5)) {
            let mut note = Note::unsigned(text).unwrap();
            for (name, id, signature) in signatures {
                note.push(SignatureLine::new(&name, id, signature).unwrap());
            }
            prop_assert_eq!(note.to_string().parse::<Note>().unwrap(), note);
        }

        #[test]
        fn any_flipped_bit_of_the_text_or_signature_is_found(at: prop::sample::Index, bit in 0_u32..8) {
            let mut bytes = NEUMANN.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let verified = String::from_utf8(bytes).ok().and_then(|text| text.parse::<Note>().ok());
            prop_assert!(verified.is_none_or(|note| note.verify(&neumann().verifier()).is_err()));
        }
    }
}
