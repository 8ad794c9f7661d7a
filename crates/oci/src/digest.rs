//! Content digests (image-spec descriptor.md): sha256 and sha512 are checked, others only recognised.
//!
//! Whatever contains a colon is a digest or an error, never a tag.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

use crate::name::shortened;

/// A SHA-256 digest; prints as `sha256:<hex>`. What every record names.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sha256Digest([u8; 32]);

/// A digest of any algorithm.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Digest {
    /// `sha256:` and 64 lower-case hexadecimal digits.
    Sha256(Sha256Digest),
    /// `sha512:` and 128 lower-case hexadecimal digits.
    Sha512(Box<[u8; 64]>),
    /// An algorithm that we cannot check.
    Other {
        /// Before the colon.
        algorithm: String,
        /// Behind it.
        encoded: String,
    },
}

/// A text with a colon that is no digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a digest; write `sha256:` and 64 lower-case hexadecimal digits")]
pub struct DigestError {
    text: String,
}

/// Hashes a body piece by piece.
#[derive(Clone, Debug)]
pub struct Digester {
    state: State,
    expected: Digest,
}

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Sha256Digest {
    /// Of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes 32 bytes for a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses `sha256:<64 lower-case hex>`.
    ///
    /// # Errors
    ///
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let hex = text.strip_prefix("sha256:").ok_or_else(|| error(text))?;
        Ok(Self(from_hex(hex).ok_or_else(|| error(text))?))
    }
}

impl Digest {
    /// Parses any grammatical digest.
    ///
    /// # Errors
    ///
    /// A text that is none, or a sha256 or sha512 of the wrong length or case.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (algorithm, encoded) = text.split_once(':').ok_or_else(|| error(text))?;
        match algorithm {
            "sha256" => Sha256Digest::parse(text).map(Self::Sha256),
            "sha512" => {
                from_hex(encoded).map(|bytes| Self::Sha512(Box::new(bytes))).ok_or_else(|| error(text))
            }
            _ if text.len() <= 255 && is_algorithm(algorithm) && is_encoded(encoded) => {
                Ok(Self::Other { algorithm: algorithm.to_owned(), encoded: encoded.to_owned() })
            }
            _ => Err(error(text)),
        }
    }

    /// Whether `bytes` have this digest; `None` where the algorithm cannot be checked.
    pub fn is_of(&self, bytes: &[u8]) -> Option<bool> {
        let mut digester = Digester::new(self)?;
        digester.update(bytes);
        Some(digester.matches())
    }
}

impl Digester {
    /// Starts; `None` where the algorithm cannot be checked.
    pub fn new(expected: &Digest) -> Option<Self> {
        let state = match expected {
            Digest::Sha256(_) => State::Sha256(Sha256::new()),
            Digest::Sha512(_) => State::Sha512(Sha512::new()),
            Digest::Other { .. } => return None,
        };
        Some(Self { state, expected: expected.clone() })
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(piece),
            State::Sha512(state) => state.update(piece),
        }
    }

    /// Whether all pieces together have the expected digest.
    pub fn matches(self) -> bool {
        match (self.state, self.expected) {
            (State::Sha256(state), Digest::Sha256(expected)) => state.finalize().as_slice() == expected.0,
            (State::Sha512(state), Digest::Sha512(expected)) => {
                state.finalize().as_slice() == expected.as_slice()
            }
            _ => false,
        }
    }
}

impl From<Sha256Digest> for Digest {
    fn from(digest: Sha256Digest) -> Self {
        Self::Sha256(digest)
    }
}

impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, "sha256:", &self.0)
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Sha512(bytes) => write_hex(f, "sha512:", bytes.as_slice()),
            Self::Other { algorithm, encoded } => write!(f, "{algorithm}:{encoded}"),
        }
    }
}

fn error(text: &str) -> DigestError {
    DigestError { text: shortened(text) }
}

/// `component [separator component]*` in lower case, as descriptor.md has it.
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-']).all(|part| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

fn is_encoded(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=_-".contains(&byte))
}

fn from_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, prefix: &str, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'?'));
    let mut text = String::with_capacity(prefix.len() + 2 * bytes.len());
    text.push_str(prefix);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    f.pad(&text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_algorithms_have_one_spelling() {
        let hex = "ab".repeat(32);
        assert!(matches!(Digest::parse(&format!("sha256:{hex}")), Ok(Digest::Sha256(_))));
        assert!(matches!(Digest::parse(&format!("sha512:{}", hex.repeat(2))), Ok(Digest::Sha512(_))));
        for wrong in [
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{hex}0"),
            format!("sha256:{}", &hex[2..]),
            format!("sha512:{hex}"),
            format!("SHA256:{hex}"),
            hex,
            "sha256:baddigeststring".to_owned(),
            ":".to_owned(),
            "v1:latest".to_owned(),
        ] {
            assert!(Digest::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_algorithm_is_a_digest_that_cannot_be_checked() {
        let digest = Digest::parse(&format!("blake3:{}", "0".repeat(64))).unwrap();
        assert!(matches!(digest, Digest::Other { .. }));
        assert_eq!(digest.is_of(b""), None);
        assert!(Digester::new(&digest).is_none());
    }

    #[test]
    fn bytes_are_checked_in_pieces() {
        let digest = Digest::from(Sha256Digest::of(b"abc"));
        let mut digester = Digester::new(&digest).unwrap();
        digester.update(b"a");
        digester.update(b"bc");
        assert!(digester.matches());
        assert_eq!(digest.is_of(b"abd"), Some(false));
        let sha512 = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert_eq!(Digest::parse(sha512).unwrap().is_of(b"abc"), Some(true));
    }

    proptest! {
        #[test]
        fn parsing_and_printing_are_inverse(bytes: [u8; 32], long in prop::collection::vec(any::<u8>(), 64)) {
            let digest = Sha256Digest::from_bytes(bytes);
            prop_assert_eq!(Sha256Digest::parse(&digest.to_string()).unwrap(), digest);
            let digest = Digest::Sha512(Box::new(long.try_into().unwrap()));
            prop_assert_eq!(Digest::parse(&digest.to_string()).unwrap(), digest);
        }

        #[test]
        fn what_parses_is_what_prints(text in "[a-z0-9+]{1,8}:[a-z0-9]{30,66}") {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
