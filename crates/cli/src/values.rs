//! Values of arguments, parsed where they enter; what is none is answered with what was probably meant.
//! It must not know which argument takes which.

use std::net::SocketAddr;

use oci::{Reference, Selector, Sha256Digest, TagName};

/// A value that an argument does not take. Clap carries it to `CommandError`, which prints both parts.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Wrong {
    problem: String,
    pub(crate) hint: String,
}

impl Wrong {
    pub(crate) fn new(problem: &impl ToString, hint: impl Into<String>) -> Self {
        Self { problem: problem.to_string(), hint: hint.into() }
    }
}

/// `127.0.0.1:8080`
pub(crate) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_syntax| {
        let problem = format!("`{text}` is not an IP address with a port");
        let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
        Wrong::new(
            &problem,
            format!("write `127.0.0.1:{port}`, or `0.0.0.0:{port}` to open it to the network"),
        )
    })
}

/// A reference that names a tag, canonical.
pub(crate) fn tag(text: &str) -> Result<TagName, Wrong> {
    let reference = Reference::parse(text).map_err(|error| {
        let better = likely(text);
        let hint = if better != text && Reference::parse(&better).is_ok() {
            format!("did you mean `{better}`?")
        } else {
            "write it as for `docker pull`; without a tag it means `:latest`".to_owned()
        };
        Wrong::new(&error, hint)
    })?;
    let name = reference.name;
    let instead = match reference.selector {
        Selector::Tag(tag) => return Ok(TagName { name, tag }),
        Selector::Digest(_) => format!("name a tag instead, such as `{name}:latest`"),
        Selector::TagAndDigest(tag, _) => format!("name the tag alone: `{name}:{tag}`"),
    };
    let problem = format!("`{text}` names a digest, which no tag has to stand for");
    Err(Wrong::new(&problem, instead))
}

/// Mends a URL, and upper case in a name; a tag may have it.
fn likely(text: &str) -> String {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let tag =
        text.get(last..).and_then(|component| component.find(':')).map_or(text.len(), |colon| last + colon);
    let (name, tag) = text.split_at_checked(tag).unwrap_or((text, ""));
    name.to_ascii_lowercase() + tag
}

/// A digest of the one algorithm that is recorded.
pub(crate) fn digest(text: &str) -> Result<Sha256Digest, Wrong> {
    Sha256Digest::parse(text).map_err(|error| {
        Wrong::new(
            &error,
            "`docker buildx imagetools inspect REF` and `skopeo inspect REF` print the digest of a tag",
        )
    })
}

/// What a leaf says of why it was written.
pub(crate) fn reason(text: &str) -> Result<taglog::Reason, Wrong> {
    let hint = "everybody can read it in the log for ever; write something such as \"rebuilt by the publisher, ticket 17\"";
    taglog::Reason::parse(text).map_err(|error| Wrong::new(&error, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_references_keep_their_tag() {
        for (wrong, right) in [
            ("https://GHCR.io/Org/App:V1", "ghcr.io/org/app:V1"),
            ("reg.example:5000/App", "reg.example:5000/app"),
            ("Alpine", "alpine"),
            ("é:1", "é:1"),
            ("", ""),
        ] {
            assert_eq!(likely(wrong), right);
        }
    }
}
