//! Referrers: what refers to a manifest, as descriptors, and the index that lists them
//! (OCI distribution-spec 1.1, "Listing referrers").
//!
//! Upstream's index is parsed into these types and written anew. Knows no I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, ManifestType, Tag};

/// Descriptors in one index at most.
const MAX_DESCRIPTORS: usize = 10_000;
/// Characters of a media type or artifact type.
const MAX_TYPE: usize = 255;

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
    /// Its annotations, as far as they are text.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIndex {
    #[serde(default)]
    manifests: Option<Vec<RawDescriptor>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<RawDescriptor>,
}

/// The descriptors of an index; `None` where it is none, or has more than 10,000.
///
/// A descriptor that no client could pull (an unknown media type, a digest that is none) is left out.
pub fn parse_referrers(index: &[u8]) -> Option<Vec<Descriptor>> {
    // A list would be taken for the fields in their order.
    let index = index.trim_ascii().starts_with(b"{").then_some(index)?;
    let index: RawIndex = serde_json::from_slice(index).ok()?;
    let descriptors = index.manifests.unwrap_or_default();
    if descriptors.len() > MAX_DESCRIPTORS {
        return None;
    }
    Some(descriptors.into_iter().filter_map(descriptor).collect())
}

fn descriptor(raw: RawDescriptor) -> Option<Descriptor> {
    Some(Descriptor {
        media_type: ManifestType::parse(&raw.media_type)?,
        digest: Digest::parse(&raw.digest).ok()?,
        size: raw.size,
        artifact_type: raw.artifact_type.filter(|kind| kind.len() <= MAX_TYPE),
        annotations: raw.annotations.unwrap_or_default(),
    })
}

/// The index of descriptors, as JSON.
pub fn referrers_index(descriptors: &[Descriptor]) -> Vec<u8> {
    let manifests = descriptors.iter().map(|descriptor| RawDescriptor {
        media_type: descriptor.media_type.as_str().to_owned(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        artifact_type: descriptor.artifact_type.clone(),
        annotations: Some(descriptor.annotations.clone()).filter(|annotations| !annotations.is_empty()),
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
    fn what_no_client_could_pull_is_left_out() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let of = |media_type: &str, digest: &str| {
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":3,"x":1}}"#)
        };
        let oci = ManifestType::OciManifest.as_str();
        let index = [of(oci, &digest), of("text/html", &digest), of(oci, "sha256:x")].join(",");
        let read = parse_referrers(format!(r#"{{"manifests":[{index}]}}"#).as_bytes()).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].digest.to_string(), digest);
    }

    #[test]
    fn an_index_of_nothing_and_no_index_are_told_apart() {
        for empty in [r#"{"manifests":[]}"#, r#"{"manifests":null}"#, r#"{"schemaVersion":2}"#] {
            assert_eq!(parse_referrers(empty.as_bytes()), Some(Vec::new()), "{empty}");
        }
        for other in ["", "<html>", "[]", r#"{"manifests":{}}"#, r#"{"manifests":[{"size":-1}]}"#] {
            assert_eq!(parse_referrers(other.as_bytes()), None, "{other}");
        }
        let one = format!(r#"{{"mediaType":"{}","digest":"x","size":1}}"#, ManifestType::OciManifest);
        let many = vec![one; MAX_DESCRIPTORS + 1].join(",");
        assert_eq!(parse_referrers(format!(r#"{{"manifests":[{many}]}}"#).as_bytes()), None);
    }

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
            prop_assert_eq!(parse_referrers(&referrers_index(&descriptors)), Some(descriptors));
        }
    }
}
