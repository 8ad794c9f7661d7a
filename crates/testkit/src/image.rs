//! Small valid manifests with everything they name. Knows no registry; [`crate::FakeRegistry`] takes these in.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::digest::sha256_digest;
use crate::media_type::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST,
};

/// A word that no other call in this process gives, for content that must differ.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One image manifest with its configuration and its one layer.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest, byte for byte.
    pub manifest: Bytes,
    /// Its media type.
    pub media_type: &'static str,
    /// `sha256:…` of the manifest.
    pub digest: String,
    /// Configuration and layer: what the manifest names, with right digests and sizes.
    pub blobs: Vec<Bytes>,
    /// The architecture that the configuration names, such as `amd64`.
    pub architecture: String,
}

impl Image {
    /// An OCI image for linux/amd64; the same `seed` gives the same bytes, another seed another digest.
    #[must_use]
    pub fn oci(seed: &str) -> Self {
        Self::build(seed, "amd64", OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    }

    /// A Docker schema 2 image for linux/amd64.
    #[must_use]
    pub fn docker(seed: &str) -> Self {
        Self::build(seed, "amd64", DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
    }

    /// An OCI image that no other call gives.
    #[must_use]
    pub fn unique() -> Self {
        Self::oci(&unique("image"))
    }

    fn build(seed: &str, architecture: &str, media_type: &'static str, config: &str, layer: &str) -> Self {
        let layer_bytes = Bytes::from(format!("layer of {seed} for {architecture}\n").repeat(32));
        let config_bytes = Bytes::from(
            json!({
                "architecture": architecture,
                "os": "linux",
                "config": {"Labels": {"seed": seed}},
                "rootfs": {"type": "layers", "diff_ids": [sha256_digest(&layer_bytes)]},
            })
            .to_string(),
        );
        let manifest = Bytes::from(
            json!({
                "schemaVersion": 2,
                "mediaType": media_type,
                "config": descriptor(config, &config_bytes),
                "layers": [descriptor(layer, &layer_bytes)],
            })
            .to_string(),
        );
        let digest = sha256_digest(&manifest);
        let blobs = vec![config_bytes, layer_bytes];
        Self { manifest, media_type, digest, blobs, architecture: architecture.to_owned() }
    }
}

/// An index (or Docker manifest list) and the images it names.
#[derive(Clone, Debug)]
pub struct Index {
    /// The index, byte for byte.
    pub manifest: Bytes,
    /// Its media type.
    pub media_type: &'static str,
    /// `sha256:…` of the index.
    pub digest: String,
    /// The images, in the order in which the index names them: amd64, then arm64.
    pub children: Vec<Image>,
}

impl Index {
    /// An OCI index of an amd64 and an arm64 image; the same `seed` gives the same bytes.
    #[must_use]
    pub fn oci(seed: &str) -> Self {
        let child = |architecture| Image::build(seed, architecture, OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
        Self::of(OCI_INDEX, ["amd64", "arm64"].map(child).to_vec())
    }

    /// A Docker manifest list of the same shape.
    #[must_use]
    pub fn docker(seed: &str) -> Self {
        let child =
            |architecture| Image::build(seed, architecture, DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER);
        Self::of(DOCKER_LIST, ["amd64", "arm64"].map(child).to_vec())
    }

    /// An OCI index that no other call gives.
    #[must_use]
    pub fn unique() -> Self {
        Self::oci(&unique("index"))
    }

    /// An index of the given images.
    #[must_use]
    pub fn of(media_type: &'static str, children: Vec<Image>) -> Self {
        let named: Vec<Value> = children
            .iter()
            .map(|child| {
                let mut named = descriptor(child.media_type, &child.manifest);
                let platform = json!({"architecture": child.architecture, "os": "linux"});
                named.as_object_mut().expect("a descriptor").insert("platform".to_owned(), platform);
                named
            })
            .collect();
        let manifest =
            Bytes::from(json!({"schemaVersion": 2, "mediaType": media_type, "manifests": named}).to_string());
        let digest = sha256_digest(&manifest);
        Self { manifest, media_type, digest, children }
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256_digest(bytes), "size": bytes.len()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(value: &Value) -> (String, u64) {
        (value["digest"].as_str().unwrap().to_owned(), value["size"].as_u64().unwrap())
    }

    #[test]
    fn everything_a_manifest_names_is_there_with_its_digest_and_size() {
        for image in [Image::oci("a"), Image::docker("a")] {
            let manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
            assert_eq!(manifest["mediaType"], image.media_type);
            assert_eq!(image.digest, sha256_digest(&image.manifest));
            let blobs: Vec<_> =
                image.blobs.iter().map(|blob| (sha256_digest(blob), blob.len() as u64)).collect();
            assert_eq!(vec![named(&manifest["config"]), named(&manifest["layers"][0])], blobs);
        }
    }

    #[test]
    fn an_index_names_its_children_and_their_platforms() {
        for index in [Index::oci("a"), Index::docker("a")] {
            let manifest: Value = serde_json::from_slice(&index.manifest).unwrap();
            for (child, entry) in index.children.iter().zip(manifest["manifests"].as_array().unwrap()) {
                assert_eq!(named(entry), (child.digest.clone(), child.manifest.len() as u64));
                assert_eq!(entry["platform"]["architecture"], child.architecture.as_str());
            }
            assert_ne!(index.children[0].digest, index.children[1].digest);
        }
    }

    #[test]
    fn seeds_decide_the_bytes() {
        assert_eq!(Image::oci("a").digest, Image::oci("a").digest);
        assert_ne!(Image::oci("a").digest, Image::oci("b").digest);
        assert_ne!(Image::unique().digest, Image::unique().digest);
        assert_ne!(Index::unique().digest, Index::unique().digest);
    }
}
