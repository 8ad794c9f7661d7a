//! What a body has to be before it may be recorded: bounded JSON of a known manifest type.
//!
//! The bytes are never changed or written again: their hash is what a record names.

use serde::Deserialize;

use crate::name::shortened;
use crate::{Digest, ManifestType};

/// Bytes of a manifest, at most (4 MiB, what clients take).
pub const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// Manifests that one index may name; far above any real one.
const MAX_CHILDREN: usize = 10_000;

/// What is known of a valid manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// By its own word, or by its Content-Type and shape.
    pub media_type: ManifestType,
    /// The manifests that an index names, in order; none for an image.
    pub children: Vec<Digest>,
}

/// Why a body is no manifest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ManifestError {
    /// Over [`MAX_MANIFEST`].
    #[error("the manifest is larger than 4 MiB")]
    TooLarge,
    /// Not JSON, or JSON of another shape.
    #[error("the body is not the JSON of a manifest: {0}")]
    NotJson(String),
    /// A page, most likely of a portal in between.
    #[error("the answer is of type `{0}`, not a manifest")]
    ContentType(String),
    /// Schema 1.
    #[error(
        "the manifest is of schema 1, whose digest is not that of its bytes; push it anew with a current tool"
    )]
    SchemaOne,
    /// The body says one thing, the header another.
    #[error("the body says `{body}`, the Content-Type `{header}`")]
    TypeMismatch {
        /// `mediaType`.
        body: String,
        /// Content-Type.
        header: String,
    },
    /// Neither body nor header says what it is.
    #[error("neither the body nor the Content-Type says which kind of manifest this is")]
    UnknownType,
    /// A child that has no digest.
    #[error("the index names `{0}`, which is not a digest")]
    Child(String),
    /// Too many children.
    #[error("the index names more than 10000 manifests")]
    TooManyChildren,
}

/// Only what must be known; duplicates of these keys are errors of serde's derive.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(rename = "schemaVersion")]
    schema_version: Option<u64>,
    #[serde(rename = "mediaType", borrow)]
    media_type: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    manifests: Option<Vec<Descriptor<'a>>>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    signatures: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Descriptor<'a> {
    #[serde(borrow)]
    digest: std::borrow::Cow<'a, str>,
}

impl Manifest {
    /// Checks a body and its `Content-Type`.
    ///
    /// # Errors
    ///
    /// [`ManifestError`]: nothing of the kind may be recorded or served as a manifest.
    pub fn validate(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLarge);
        }
        let header = header_type(content_type)?;
        let shape: Shape<'_> =
            serde_json::from_slice(bytes).map_err(|error| ManifestError::NotJson(error.to_string()))?;
        if shape.schema_version == Some(1) || shape.signatures.is_some() {
            return Err(ManifestError::SchemaOne);
        }
        let body = match &shape.media_type {
            None => None,
            Some(text) => {
                Some(ManifestType::parse(text).ok_or_else(|| ManifestError::ContentType(text.to_string()))?)
            }
        };
        let media_type = match (body, header) {
            (Some(body), Some(header)) if body != header => {
                let (body, header) = (body.to_string(), header.to_string());
                return Err(ManifestError::TypeMismatch { body, header });
            }
            (Some(known), _) | (None, Some(known)) => known,
            (None, None) => shape.sniffed()?,
        };
        let fits = if media_type.is_index() {
            shape.manifests.is_some()
        } else {
            shape.manifests.is_none() && shape.config.is_some()
        };
        if !fits {
            return Err(ManifestError::NotJson(format!("it has not the fields of `{media_type}`")));
        }
        let manifests = shape.manifests.unwrap_or_default();
        if manifests.len() > MAX_CHILDREN {
            return Err(ManifestError::TooManyChildren);
        }
        let child = |descriptor: &Descriptor<'_>| {
            Digest::parse(&descriptor.digest)
                .map_err(|_not_one| ManifestError::Child(shortened(&descriptor.digest)))
        };
        let children = if media_type.is_index() {
            manifests.iter().map(child).collect::<Result<_, _>>()?
        } else {
            Vec::new()
        };
        Ok(Self { media_type, children })
    }
}

impl Shape<'_> {
    /// OCI lets `mediaType` out; then the fields tell an index from an image.
    fn sniffed(&self) -> Result<ManifestType, ManifestError> {
        match (self.schema_version, self.manifests.is_some(), self.config.is_some() && self.layers.is_some())
        {
            (Some(2), true, false) => Ok(ManifestType::OciIndex),
            (Some(2), false, true) => Ok(ManifestType::OciManifest),
            _ => Err(ManifestError::UnknownType),
        }
    }
}

/// Types that say nothing are as good as none; types of other things are errors.
fn header_type(content_type: Option<&str>) -> Result<Option<ManifestType>, ManifestError> {
    let Some(text) = content_type else { return Ok(None) };
    if let Some(known) = ManifestType::parse(text) {
        return Ok(Some(known));
    }
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/json" | "application/octet-stream" | "text/plain" | "binary/octet-stream" => {
            Ok(None)
        }
        "application/vnd.docker.distribution.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Err(ManifestError::SchemaOne),
        _ => Err(ManifestError::ContentType(shortened(&essence))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

    fn index(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2{extra},"manifests":[{{"digest":"sha256:{}","size":2}}]}}"#,
            "a".repeat(64)
        )
    }

    fn image(extra: &str) -> String {
        format!(r#"{{"schemaVersion":2{extra},"config":{{}},"layers":[]}}"#)
    }

    #[test]
    fn an_index_names_its_children() {
        let manifest = Manifest::validate(index("").as_bytes(), Some(INDEX)).unwrap();
        assert_eq!(manifest.media_type, ManifestType::OciIndex);
        assert_eq!(manifest.children.len(), 1);
        assert!(Manifest::validate(image("").as_bytes(), Some(IMAGE)).unwrap().children.is_empty());
    }

    #[test]
    fn a_missing_or_generic_type_is_told_from_the_body() {
        for header in [
            None,
            Some("application/json"),
            Some("text/plain; charset=utf-8"),
            Some("application/octet-stream"),
        ] {
            assert_eq!(
                Manifest::validate(index("").as_bytes(), header).unwrap().media_type,
                ManifestType::OciIndex
            );
            assert_eq!(
                Manifest::validate(image("").as_bytes(), header).unwrap().media_type,
                ManifestType::OciManifest
            );
        }
        assert_eq!(Manifest::validate(br#"{"schemaVersion":2}"#, None), Err(ManifestError::UnknownType));
    }

    #[test]
    fn body_and_header_have_to_agree() {
        let body = index(&format!(r#","mediaType":"{INDEX}""#));
        assert!(Manifest::validate(body.as_bytes(), Some(&INDEX.to_uppercase())).is_ok());
        assert!(matches!(
            Manifest::validate(body.as_bytes(), Some(IMAGE)),
            Err(ManifestError::TypeMismatch { .. })
        ));
        assert!(matches!(
            Manifest::validate(body.as_bytes(), Some("text/html")),
            Err(ManifestError::ContentType(_))
        ));
        let odd = index(r#","mediaType":"application/x""#);
        assert!(matches!(
            Manifest::validate(odd.as_bytes(), Some(INDEX)),
            Err(ManifestError::ContentType(_))
        ));
        assert!(Manifest::validate(image("").as_bytes(), Some(INDEX)).is_err());
        assert!(Manifest::validate(index("").as_bytes(), Some(IMAGE)).is_err());
    }

    #[test]
    fn schema_one_is_refused_by_name() {
        for (body, header) in [
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
            (
                r#"{"schemaVersion":1,"signatures":[]}"#,
                Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            ),
            (r#"{"schemaVersion":2,"signatures":[]}"#, None),
        ] {
            assert_eq!(Manifest::validate(body.as_bytes(), header), Err(ManifestError::SchemaOne));
        }
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        let deep = format!(r#"{{"schemaVersion":2,"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let twice = image(&format!(r#","mediaType":"{IMAGE}","mediaType":"{IMAGE}""#));
        let children = r#"{"schemaVersion":2,"manifests":[{"digest":"latest"}]}"#;
        for wrong in
            ["", "null", "[]", "<html>", &(image("") + "x"), &(image("") + "{}"), &deep, &twice, children]
        {
            assert!(
                Manifest::validate(wrong.as_bytes(), Some(IMAGE)).is_err(),
                "{}",
                &wrong[..wrong.len().min(80)]
            );
        }
        assert_eq!(Manifest::validate(&vec![b' '; MAX_MANIFEST + 1], None), Err(ManifestError::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_checker_panic(bytes: Vec<u8>, header: Option<String>) {
            let _any_answer = Manifest::validate(&bytes, header.as_deref());
        }
    }
}
