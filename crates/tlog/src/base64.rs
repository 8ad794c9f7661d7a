//! Standard base64 with padding, in its one spelling (RFC 4648 §4).
//!
//! Two texts for the same bytes would let a proof be altered without being broken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Error;

/// Bytes as text.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Text as bytes.
///
/// # Errors
///
/// Anything but the text that [`encode`] gives for the same bytes: other alphabets, missing or
/// superfluous padding, bits beyond the last byte.
pub fn decode_strict(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_why| Error::Base64(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_spelling_is_accepted() {
        assert_eq!(decode_strict("AA==").unwrap(), [0]);
        for wrong in ["AA", "AA=", "AB==", "AA===", "A", "AA==\n", " AA==", "AA__"] {
            assert!(decode_strict(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_are_inverse(bytes: Vec<u8>) {
            prop_assert_eq!(decode_strict(&encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn what_decodes_is_what_encodes(text in "[A-Za-z0-9+/=]{0,12}") {
            if let Ok(bytes) = decode_strict(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
