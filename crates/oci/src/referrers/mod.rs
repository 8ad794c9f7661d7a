//! Referrers: what refers to a manifest, as descriptors, and the index that lists them
//! (OCI distribution-spec 1.1, "Listing referrers").
//!
//! Upstream's pages are read into these types and written anew as one. Knows no I/O.

mod page;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::page::Referrers;

use crate::{Digest, ManifestType, Tag};

/// One thing that refers to a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Descriptor {
    /// Of the manifest that refers.
    pub media_type: ManifestType,
    /// Of the manifest that refers.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What it is: a signature, an SBOM.
    pub artifact_type: Option<String>,
    /// Its annotations; none where upstream's are more than 64, or longer than 8 KiB.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Listed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    media_type: &'static str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// The index of descriptors, as JSON.
pub fn referrers_index(descriptors: &[Descriptor]) -> Vec<u8> {
    let manifests = descriptors.iter().map(|descriptor| Listed {
        media_type: descriptor.media_type.as_str(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        artifact_type: descriptor.artifact_type.as_deref(),
        annotations: &descriptor.annotations,
    });
    let index = Index {
        schema_version: 2,
        media_type: ManifestType::OciIndex.as_str(),
        manifests: manifests.collect(),
    };
    // Strings and numbers: nothing that JSON cannot say.
    serde_json::to_vec(&index).unwrap_or_default()
}

/// The tag under which clients keep referrers of `digest` where a registry has no referrers API: at most 32 characters of
/// the algorithm and 64 of the rest, with `-` for what no tag may hold.
pub fn fallback_tag(digest: &Digest) -> Option<Tag> {
    let digest = digest.to_string();
    let (algorithm, encoded) = digest.split_once(':')?;
    let part = |text: &str, most: usize| -> String {
        let letter =
            |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '-' };
        text.chars().take(most).map(letter).collect()
    };
    Tag::parse(&format!("{}-{}", part(algorithm, 32), part(encoded, 64))).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Sha256Digest;

    #[test]
    fn the_fallback_tag_is_cut_to_what_a_tag_may_be() {
        let sha256 = Digest::parse(&format!("sha256:{}", "ab".repeat(32))).unwrap();
        assert_eq!(fallback_tag(&sha256).unwrap().as_str(), format!("sha256-{}", "ab".repeat(32)));
        let sha512 = Digest::parse(&format!("sha512:{}", "ab".repeat(64))).unwrap();
        assert_eq!(fallback_tag(&sha512).unwrap().as_str(), format!("sha512-{}", "ab".repeat(32)));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(
            sizes in prop::collection::vec(any::<u64>(), 0..5),
            kind in prop::option::of("[ -~]{0,40}"),
            annotations in prop::collection::btree_map(".{0,20}", ".{0,20}", 0..3),
        ) {
            let descriptors: Vec<Descriptor> = sizes.iter().map(|size| Descriptor {
                media_type: ManifestType::OciManifest,
                digest: Sha256Digest::of(size.to_be_bytes()).into(),
                size: *size,
                artifact_type: kind.clone(),
                annotations: annotations.clone(),
            }).collect();
            let read = Referrers::default().with(&referrers_index(&descriptors), None).unwrap();
            prop_assert_eq!(read.into_descriptors(), descriptors);
        }
    }
}
