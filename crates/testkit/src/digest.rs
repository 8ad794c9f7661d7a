//! Digests as registries write them, computed without the crates under test.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256, Sha512};

/// `sha256:<64 hex>` of the bytes.
#[must_use]
pub fn sha256_digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// `sha512:<128 hex>` of the bytes.
#[must_use]
pub fn sha512_digest(bytes: &[u8]) -> String {
    format!("sha512:{}", hex(&Sha512::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_agree_with_the_published_vectors() {
        assert_eq!(
            sha256_digest(b"abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(sha512_digest(b"abc").starts_with("sha512:ddaf35a193617abacc417349ae204131"));
    }
}
