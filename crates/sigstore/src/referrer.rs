//! A record's bundle as an OCI artifact that refers to the image, so that stock `cosign verify-attestation` finds it
//! (cosign `specs/BUNDLE_SPEC.md`).
//!
//! Pure: the same bundle makes the same manifest everywhere.

use oci::{Digest, Sha256Digest};
use serde_json::json;

use crate::statement::TAG_RECORD;

/// Of the layer and of the artifact.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Of the manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The empty configuration (image-spec, "Guidance for an Empty Descriptor").
pub const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// What it refers to.
#[derive(Clone, Debug)]
pub struct Referred {
    /// Of the image's manifest.
    pub media_type: String,
    /// Of the image's manifest.
    pub digest: Digest,
    /// Of the image's manifest.
    pub size: u64,
}

/// The manifest of a bundle that was logged at this time (RFC 3339).
pub fn manifest(bundle: &[u8], subject: &Referred, created: &str) -> Vec<u8> {
    let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": Sha256Digest::of(bytes).to_string(), "size": bytes.len() });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": BUNDLE_TYPE,
        "config": descriptor(EMPTY_TYPE, EMPTY),
        "layers": [descriptor(BUNDLE_TYPE, bundle)],
        "subject": {
            "mediaType": subject.media_type,
            "digest": subject.digest.to_string(),
            "size": subject.size,
        },
        "annotations": annotations(created).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    });
    serde_json_canonicalizer::to_vec(&manifest).unwrap_or_default()
}

/// Of the manifest, and of its descriptor in a list of referrers.
pub fn annotations(created: &str) -> [(String, String); 3] {
    [
        ("dev.sigstore.bundle.content", "dsse-envelope"),
        ("dev.sigstore.bundle.predicateType", TAG_RECORD),
        ("org.opencontainers.image.created", created),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
}
