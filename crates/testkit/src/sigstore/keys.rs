//! Keys of the services, and what they sign.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SignatureAlgorithm, SigningKey as _,
};
use sha2::{Digest as _, Sha256};

/// Before the point in the SubjectPublicKeyInfo of every P-256 key.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(super) fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

pub(super) fn ed25519() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).expect("a key")
}

pub(super) fn sign(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    key.sign(message).expect("a signature")
}

pub(super) fn spki(key: &KeyPair) -> Vec<u8> {
    key.subject_public_key_info()
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A P-256 key that was found in something.
pub(super) struct Point(pub(super) Vec<u8>);

impl Point {
    /// The first one in a certificate, a request or a SubjectPublicKeyInfo.
    pub(super) fn find(der: &[u8]) -> Option<Self> {
        let place = der.windows(P256.len()).position(|window| window == P256)?;
        Some(Self(der.get(place + P256.len()..place + P256.len() + 65)?.to_vec()))
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0).verify(message, signature).is_ok()
    }
}

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// RFC 7468.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).map(|at| &text[at..(at + 64).min(text.len())]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The first block's content.
pub(super) fn from_pem(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let body = text.split("-----").nth(2)?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(body).ok()
}
