//! References as people write them: `alpine:3.16.0`, `ghcr.io/org/app@sha256:…`.
//!
//! Parsing gives the canonical form; printing gives a text that parses to the same.

use std::fmt;
use std::str::FromStr;

use crate::name::shortened;
use crate::{Digest, DigestError, Name, NameError, Tag};

/// An image, canonical.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    /// The repository.
    pub name: Name,
    /// Which of its manifests.
    pub selector: Selector,
}

/// What follows the name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Selector {
    /// `:tag`; `latest` where nothing is written.
    Tag(Tag),
    /// `@digest`
    Digest(Digest),
    /// `:tag@digest`
    TagAndDigest(Tag, Digest),
}

/// A text that is no reference, with the way out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("an empty reference; write one such as `alpine:3.20` or `ghcr.io/org/app:v1`")]
    Empty,
    /// A URL.
    #[error("`{0}` is a URL; leave out `https://`")]
    Url(String),
    /// Name or tag.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// Parses what people type.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.contains("://") {
            return Err(ReferenceError::Url(shortened(text)));
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
        };
        // A colon behind the last slash begins a tag; before it, it is a port's.
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let colon = rest.get(last..).and_then(|component| component.find(':')).map(|at| last + at);
        let (path, tag) = match colon.and_then(|at| rest.split_at_checked(at)) {
            None => (rest, None),
            Some((path, tag)) => (path, Some(Tag::parse(tag.strip_prefix(':').unwrap_or_default())?)),
        };
        let name = Name::canonicalize(path)?;
        let selector = match (tag, digest) {
            (Some(tag), Some(digest)) => Selector::TagAndDigest(tag, digest),
            (None, Some(digest)) => Selector::Digest(digest),
            (Some(tag), None) => Selector::Tag(tag),
            (None, None) => Selector::Tag(Tag::parse("latest")?),
        };
        Ok(Self { name, selector })
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Tag(tag) => write!(f, "{}:{tag}", self.name),
            Selector::Digest(digest) => write!(f, "{}@{digest}", self.name),
            Selector::TagAndDigest(tag, digest) => write!(f, "{}:{tag}@{digest}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_read_as_docker_reads_them() {
        let hex = "a".repeat(64);
        for (text, canonical) in [
            ("alpine", "index.docker.io/library/alpine:latest".to_owned()),
            ("alpine:3.16.0", "index.docker.io/library/alpine:3.16.0".to_owned()),
            ("docker.io/library/alpine:3", "index.docker.io/library/alpine:3".to_owned()),
            ("ghcr.io/org/app:v1", "ghcr.io/org/app:v1".to_owned()),
            ("reg.example:5000/x", "reg.example:5000/x:latest".to_owned()),
            ("reg.example:5000/x:v1", "reg.example:5000/x:v1".to_owned()),
            (&format!("alpine@sha256:{hex}"), format!("index.docker.io/library/alpine@sha256:{hex}")),
            (&format!("alpine:3@sha256:{hex}"), format!("index.docker.io/library/alpine:3@sha256:{hex}")),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_way_out() {
        for (text, words) in [
            ("", "alpine:3.20"),
            ("https://ghcr.io/org/app", "leave out"),
            ("Alpine", "lower case"),
            ("alpine:", "not a tag"),
            ("alpine@latest", "sha256:"),
            ("alpine@sha256:abc", "sha256:"),
            ("a b", "not a repository"),
            ("localhost:5000", "not a tag"),
        ] {
            if text == "localhost:5000" {
                // Reads as an image `localhost` with the tag `5000`, as docker has it.
                assert_eq!(
                    Reference::parse(text).unwrap().to_string(),
                    "index.docker.io/library/localhost:5000"
                );
                continue;
            }
            let message = Reference::parse(text).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_again_changes_nothing(text in "([a-z]{1,6}\\.[a-z]{2,3}(:[0-9]{1,5})?/)?[a-z0-9._-]{1,8}(/[a-z0-9]{1,8})?(:[a-zA-Z0-9._-]{1,9})?") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _any_answer = Reference::parse(&text);
        }
    }
}
