//! Pages of a list of referrers, read so that what there is no room for is never held.
//!
//! A page is a few bytes of JSON for many objects in memory, so both are bounded here: what one descriptor may say, and
//! what the whole list may take.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Descriptor;
use crate::{Digest, ManifestType};

/// Descriptors in one list at most.
const MAX_DESCRIPTORS: usize = 10_000;
/// Characters of a media type or artifact type.
const MAX_TYPE: usize = 255;
/// Annotations of one descriptor, and bytes of their text.
const MAX_ANNOTATIONS: usize = 64;
const MAX_ANNOTATION_TEXT: usize = 8 * 1024;
/// Bytes of memory that one list may take, about. Many short annotations take far more of it than of the answer.
const MAX_WEIGHT: usize = 8 * 1024 * 1024;
/// What a descriptor and an annotation take besides their text.
const DESCRIPTOR: usize = 256;
const ANNOTATION: usize = 128;

/// A list in the making, page by page; it takes 8 MiB of memory at most.
#[derive(Debug, Default)]
pub struct Referrers {
    all: Vec<Descriptor>,
    weight: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<Annotations>,
}

struct Annotations(BTreeMap<String, String>);

impl Referrers {
    /// Adds the descriptors of one page, of one artifact type if that is given. `None` where the page is no index, or the
    /// list would become longer than 10,000 descriptors or 8 MiB.
    ///
    /// A descriptor that no client could pull (an unknown media type, a digest that is none) is left out.
    #[must_use]
    pub fn with(mut self, page: &[u8], artifact_type: Option<&str>) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_slice(page);
        json.deserialize_map(Page { list: &mut self, artifact_type }).ok()?;
        json.end().ok()?;
        Some(self)
    }

    /// All of them, in upstream's order.
    pub fn into_descriptors(self) -> Vec<Descriptor> {
        self.all
    }

    /// Whether there was room for it.
    fn push(&mut self, descriptor: Descriptor) -> bool {
        self.weight = self.weight.saturating_add(weight(&descriptor));
        let fits = self.all.len() < MAX_DESCRIPTORS && self.weight <= MAX_WEIGHT;
        if fits {
            self.all.push(descriptor);
        }
        fits
    }
}

fn weight(descriptor: &Descriptor) -> usize {
    let annotations = descriptor.annotations.iter().map(|(key, value)| ANNOTATION + key.len() + value.len());
    DESCRIPTOR + descriptor.artifact_type.as_ref().map_or(0, String::len) + annotations.sum::<usize>()
}

/// Reads a page into a list, so that what there is no room for is never held.
struct Page<'a> {
    list: &'a mut Referrers,
    artifact_type: Option<&'a str>,
}

impl<'de> Visitor<'de> for Page<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image index")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "manifests" {
                map.next_value_seed(Manifests { list: &mut *self.list, artifact_type: self.artifact_type })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The `manifests` of a page.
struct Manifests<'a> {
    list: &'a mut Referrers,
    artifact_type: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Manifests<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Manifests<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("descriptors")
    }

    /// Some registries answer null for none.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        while let Some(raw) = seq.next_element::<RawDescriptor>()? {
            let wanted = |one: &Descriptor| {
                self.artifact_type.is_none_or(|kind| one.artifact_type.as_deref() == Some(kind))
            };
            if let Some(descriptor) = descriptor(raw).filter(wanted)
                && !self.list.push(descriptor)
            {
                return Err(S::Error::custom("too many"));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Annotations, M::Error> {
        let (mut annotations, mut text) = (BTreeMap::new(), 0_usize);
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            text = text.saturating_add(key.len()).saturating_add(value.len());
            annotations.insert(key, value);
            if annotations.len() > MAX_ANNOTATIONS || text > MAX_ANNOTATION_TEXT {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Annotations(BTreeMap::new()));
            }
        }
        Ok(Annotations(annotations))
    }
}

fn descriptor(raw: RawDescriptor) -> Option<Descriptor> {
    Some(Descriptor {
        media_type: ManifestType::parse(&raw.media_type)?,
        digest: Digest::parse(&raw.digest).ok()?,
        size: raw.size,
        artifact_type: raw.artifact_type.filter(|kind| kind.len() <= MAX_TYPE),
        annotations: raw.annotations.map(|Annotations(annotations)| annotations).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCI: &str = ManifestType::OciManifest.as_str();

    fn digest() -> String {
        format!("sha256:{}", "a".repeat(64))
    }

    fn read(page: &str) -> Option<Vec<Descriptor>> {
        Some(Referrers::default().with(page.as_bytes(), None)?.into_descriptors())
    }

    fn index(descriptors: &[String]) -> String {
        format!(r#"{{"manifests":[{}]}}"#, descriptors.join(","))
    }

    fn annotated(annotations: usize, value: &str) -> String {
        let annotations: Vec<String> = (0..annotations).map(|n| format!(r#""{n}":"{value}""#)).collect();
        let digest = digest();
        format!(
            r#"{{"mediaType":"{OCI}","digest":"{digest}","size":3,"annotations":{{{}}}}}"#,
            annotations.join(",")
        )
    }

    #[test]
    fn what_no_client_could_pull_is_left_out() {
        let of = |media_type: &str, digest: &str| {
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":3,"x":1}}"#)
        };
        let read =
            read(&index(&[of(OCI, &digest()), of("text/html", &digest()), of(OCI, "sha256:x")])).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].digest.to_string(), digest());
    }

    #[test]
    fn an_index_of_nothing_and_no_index_are_told_apart() {
        for empty in [r#"{"manifests":[]}"#, r#"{"manifests":null}"#, r#"{"schemaVersion":2}"#] {
            assert_eq!(read(empty), Some(Vec::new()), "{empty}");
        }
        let cut_short = index(&[annotated(1, "x")]);
        for other in [
            "",
            "<html>",
            "[]",
            r#"[2,"x",[]]"#,
            r#"{"manifests":{}}"#,
            r#"{"manifests":[{"size":-1}]}"#,
            r#"{"manifests":[]}x"#,
            &cut_short[..cut_short.len() - 1],
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_list_of_more_descriptors_than_anybody_has_is_none() {
        let all = vec![annotated(0, ""); MAX_DESCRIPTORS];
        let page = index(&all);
        let full = Referrers::default().with(page.as_bytes(), None).unwrap();
        assert_eq!(full.all.len(), MAX_DESCRIPTORS);
        assert!(full.with(index(&all[..1]).as_bytes(), None).is_none(), "all pages together are one list");
        assert!(
            Referrers::default().with(page.as_bytes(), Some("other")).is_some_and(|list| list.all.is_empty())
        );
    }

    #[test]
    fn a_list_whose_annotations_would_fill_the_memory_is_none() {
        let most = MAX_WEIGHT / (DESCRIPTOR + MAX_ANNOTATIONS * ANNOTATION);
        let page = index(&vec![annotated(MAX_ANNOTATIONS, ""); most + 1]);
        assert!(page.len() < MAX_WEIGHT / 8, "few bytes are enough to ask for much memory");
        assert_eq!(read(&page), None);
    }

    #[test]
    fn more_annotations_than_a_descriptor_may_have_are_left_out_and_the_descriptor_is_not() {
        for (annotations, value, kept) in [
            (MAX_ANNOTATIONS, "", MAX_ANNOTATIONS),
            (MAX_ANNOTATIONS + 1, "", 0),
            (1, &"x".repeat(MAX_ANNOTATION_TEXT - 1), 1),
            (1, &"x".repeat(MAX_ANNOTATION_TEXT), 0),
        ] {
            let read = read(&index(&[annotated(annotations, value), annotated(1, "next")])).unwrap();
            let counts: Vec<usize> = read.iter().map(|one| one.annotations.len()).collect();
            assert_eq!(counts, [kept, 1], "{annotations} of {} bytes", value.len());
        }
    }
}
