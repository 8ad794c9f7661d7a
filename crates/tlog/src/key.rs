//! Keys of signed notes: the public `vkey` and its private form (C2SP signed-note).
//!
//! Knows which algorithm a key has; what is signed is the caller's matter.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

use crate::{Error, Hash, base64};

/// What a key signs, and how.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyAlgorithm {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: Ed25519 over a timestamped checkpoint (C2SP tlog-cosignature).
    CosignatureV1,
}

/// A public key with the name of its holder.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct VerifierKey {
    name: String,
    algorithm: KeyAlgorithm,
    key: VerifyingKey,
}

/// A private key with the name of its holder; never printed, wiped when dropped.
#[derive(Clone)]
pub struct SigningKey {
    name: String,
    algorithm: KeyAlgorithm,
    key: ed25519_dalek::SigningKey,
}

const PRIVATE: &str = "PRIVATE+KEY+";

impl VerifierKey {
    /// A key of 32 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for a name that no note can carry, or bytes that are no key.
    pub fn new(name: &str, algorithm: KeyAlgorithm, key: &[u8; 32]) -> Result<Self, Error> {
        check_name(name)?;
        let key =
            VerifyingKey::from_bytes(key).map_err(|_why| Error::format("vkey", "not an Ed25519 key"))?;
        Ok(Self { name: name.to_owned(), algorithm, key })
    }

    /// The holder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The 32 bytes of the key.
    pub fn key_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The first four bytes of SHA-256(name, newline, algorithm, key).
    pub fn id(&self) -> [u8; 4] {
        let hash =
            Hash::of_parts(&[self.name.as_bytes(), b"\n", &[self.algorithm.byte()], self.key.as_bytes()]);
        let [a, b, c, d, ..] = *hash.as_bytes();
        [a, b, c, d]
    }

    /// Checks a signature over `message`; malleable and small-order forms are refused.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let bad = || Error::BadSignature { key: self.name.clone() };
        let signature = Signature::from_slice(signature).map_err(|_length| bad())?;
        self.key.verify_strict(message, &signature).map_err(|_why| bad())
    }
}

impl SigningKey {
    /// The key of a 32-byte seed.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for a name that no note can carry.
    pub fn from_seed(name: &str, algorithm: KeyAlgorithm, seed: &[u8; 32]) -> Result<Self, Error> {
        check_name(name)?;
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        Ok(Self { name: name.to_owned(), algorithm, key })
    }

    /// The holder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public half.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), algorithm: self.algorithm, key: self.key.verifying_key() }
    }

    /// Signs `message`; 64 bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// `PRIVATE+KEY+<name>+<id>+<base64>`: the one way out of the process, for a key file.
    pub fn to_private_form(&self) -> String {
        let mut bytes = vec![self.algorithm.byte()];
        bytes.extend_from_slice(self.key.as_bytes());
        format!("{PRIVATE}{}+{}+{}", self.name, hex(self.verifier().id()), base64::encode(bytes))
    }

    /// Parses what [`SigningKey::to_private_form`] gives.
    ///
    /// # Errors
    ///
    /// [`Error::Format`]; the message never holds the key.
    pub fn from_private_form(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format("private key", why);
        let rest =
            text.strip_prefix(PRIVATE).ok_or_else(|| wrong("it does not begin with `PRIVATE+KEY+`"))?;
        let (name, id, algorithm, seed) = parts(rest).ok_or_else(|| wrong("not <name>+<id>+<base64 key>"))?;
        let key = Self::from_seed(name, algorithm, &seed)?;
        if hex(key.verifier().id()) != id {
            return Err(wrong("the key id does not match"));
        }
        Ok(key)
    }
}

impl KeyAlgorithm {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::CosignatureV1 => 4,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ed25519),
            4 => Some(Self::CosignatureV1),
            _ => None,
        }
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format("vkey", format!("`{text}`: {why}"));
        let (name, id, algorithm, key) = parts(text).ok_or_else(|| wrong("not <name>+<id>+<base64 key>"))?;
        let key = Self::new(name, algorithm, &key)?;
        if hex(key.id()) != id {
            return Err(wrong("the key id does not match"));
        }
        Ok(key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.algorithm.byte()];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex(self.id()), base64::encode(bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.name)
    }
}

/// A name that a signature line can carry: not empty, no white space, no `+`.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+') {
        return Err(Error::format("key name", format!("`{name}` is empty or holds white space or `+`")));
    }
    Ok(())
}

fn parts(text: &str) -> Option<(&str, &str, KeyAlgorithm, [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let bytes = base64::decode_strict(key).ok()?;
    let (algorithm, key) = bytes.split_first()?;
    Some((name, id, KeyAlgorithm::from_byte(*algorithm)?, key.try_into().ok()?))
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_specification_parse_and_print() {
        for text in [
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "witness.example/w1+df1c0a35+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU",
        ] {
            assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_private_key_gives_its_public_half() {
        let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let key = SigningKey::from_private_form(text).unwrap();
        assert_eq!(
            key.verifier().to_string(),
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        );
        assert_eq!(key.to_private_form(), text);
        assert!(!format!("{key:?}").contains("AYEK"));
    }

    #[test]
    fn a_seed_gives_the_known_key() {
        let key = SigningKey::from_seed("tags.example/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        let expected = "tags.example/log+1947aa44+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
        assert_eq!(key.verifier().to_string(), expected);
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for wrong in [
            "",
            "example.com/foo",
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
            "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ] {
            assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
        }
        let error = SigningKey::from_private_form(
            "PRIVATE+KEY+x+00000000+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz",
        );
        assert!(!error.unwrap_err().to_string().contains("AYEK"));
    }
}
