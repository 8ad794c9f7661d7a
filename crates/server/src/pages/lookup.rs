//! From what a person types or pastes into the lookup box to the page of a tag.
//!
//! Takes commands and prefixes off, says the way out for the rest. Knows no records.

use oci::{Reference, Selector};

/// Words in front of a reference in commands that people copy.
const COMMANDS: [&str; 19] = [
    "$", "#", "buildah", "crane", "crictl", "ctr", "digest", "docker", "from", "image", "image:", "images",
    "inspect", "nerdctl", "podman", "pull", "run", "skopeo", "sudo",
];
/// What nobody types; a longer text is not even looked at.
const MAX_TEXT: usize = 1_024;

/// The path of the page of the tag that `text` names, in its canonical spelling: `alpine:3.20`,
/// `docker pull ghcr.io/org/app:v1`, `docker://quay.io/a/b`; without a tag, `latest`.
///
/// # Errors
///
/// A sentence for the person: what is wrong with the text, and what to write.
pub(crate) fn lookup_target(text: &str) -> Result<String, String> {
    let word = only_word(text)?;
    let word = ["docker://", "oci://"].iter().find_map(|scheme| word.strip_prefix(scheme)).unwrap_or(word);
    if let Some(name) = name_on_hub_page(word) {
        return Err(match name {
            "" => {
                "that is a page of Docker Hub; write the image's name alone, such as `alpine:3.20`".to_owned()
            }
            name => format!(
                "that is a page of Docker Hub; write the image's name and a tag, such as `{name}:latest`"
            ),
        });
    }
    if is_digest(word) {
        return Err(no_digests());
    }
    let reference = Reference::parse(word).map_err(|error| error.to_string())?;
    let host = reference.name.host().as_str();
    if let Some(port) = host.strip_prefix("localhost:") {
        return Err(format!(
            "`localhost:{port}` is an address of this machine, not a registry that is recorded; leave it out and write `{}`",
            word.split_once('/').map_or("alpine:3.20", |(_, rest)| rest)
        ));
    }
    match reference.selector {
        // A pinned tag is still a tag; its page shows whether the digest is the recorded one.
        Selector::Tag(tag) | Selector::TagAndDigest(tag, _) => Ok(format!("/t/{}:{tag}", reference.name)),
        Selector::Digest(_) => Err(no_digests()),
    }
}

fn no_digests() -> String {
    "a digest means the same bytes for ever, so there is nothing to record of it; look up a tag, such as `alpine:3.20`"
        .to_owned()
}

/// The one word that is left without commands and their options.
fn only_word(text: &str) -> Result<&str, String> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return Err("that is too long for the name of an image; write one such as `alpine:3.20`".to_owned());
    }
    let mut words = text
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'', '`']))
        .skip_while(|word| COMMANDS.contains(&word.to_ascii_lowercase().as_str()) || word.starts_with('-'));
    match (words.next(), words.next()) {
        (Some(word), None) if !word.is_empty() => Ok(word),
        (Some(_), Some(_)) => {
            Err("that is more than one word; write the image alone, such as `alpine:3.20`".to_owned())
        }
        _ => {
            Err("write the name of an image and a tag, such as `alpine:3.20` or `ghcr.io/org/app:v1`"
                .to_owned())
        }
    }
}

/// `sha256:…` alone would read as an image named `sha256`.
fn is_digest(word: &str) -> bool {
    let word = word.trim_start_matches('@');
    word.starts_with("sha256:") || word.starts_with("sha512:")
}

/// The image that an address on Docker Hub's web site speaks of; empty where it speaks of none.
fn name_on_hub_page(word: &str) -> Option<&str> {
    let address = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")).unwrap_or(word);
    let path = address.strip_prefix("hub.docker.com")?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    if let Some(official) = path.strip_prefix("_/") {
        return Some(image_part(official, 1));
    }
    Some(path.strip_prefix("r/").map_or("", |repository| image_part(repository, 2)))
}

/// The first `components` of a path, if they are an image's name.
fn image_part(path: &str, components: usize) -> &str {
    let end = path.match_indices('/').nth(components - 1).map_or(path.len(), |(place, _)| place);
    path.get(..end).filter(|name| Reference::parse(name).is_ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "c5b1261d6d3e43071626931fc004f70149baeba2c8ec672bd4f27761f8e1ad6b";

    #[test]
    fn what_people_type_leads_to_the_canonical_tag() {
        for (text, target) in [
            ("alpine:3.20", "/t/index.docker.io/library/alpine:3.20"),
            ("alpine", "/t/index.docker.io/library/alpine:latest"),
            ("  alpine:3.20 \n", "/t/index.docker.io/library/alpine:3.20"),
            ("org/app:v1", "/t/index.docker.io/org/app:v1"),
            ("docker.io/library/alpine:3.20", "/t/index.docker.io/library/alpine:3.20"),
            ("GHCR.io/org/app:V1", "/t/ghcr.io/org/app:V1"),
            ("docker pull alpine:3.20", "/t/index.docker.io/library/alpine:3.20"),
            ("$ sudo docker image pull --quiet alpine:3.20", "/t/index.docker.io/library/alpine:3.20"),
            ("podman pull --tls-verify=false quay.io/a/b:1", "/t/quay.io/a/b:1"),
            ("FROM debian:bookworm", "/t/index.docker.io/library/debian:bookworm"),
            ("image: \"ghcr.io/org/app:v1\"", "/t/ghcr.io/org/app:v1"),
            ("skopeo inspect docker://quay.io/a/b:1", "/t/quay.io/a/b:1"),
            ("oci://ghcr.io/org/chart:1.2.3", "/t/ghcr.io/org/chart:1.2.3"),
            ("reg.example:5000/x:v1", "/t/reg.example:5000/x:v1"),
            (&format!("alpine:3.20@sha256:{HEX}"), "/t/index.docker.io/library/alpine:3.20"),
        ] {
            assert_eq!(lookup_target(text).as_deref(), Ok(target), "{text}");
        }
    }

    #[test]
    fn what_is_no_tag_is_answered_with_what_to_write() {
        for (text, words) in [
            ("", "such as `alpine:3.20`"),
            ("   ", "such as `alpine:3.20`"),
            ("docker pull", "such as `alpine:3.20`"),
            ("''", "such as `alpine:3.20`"),
            ("alpine:3.20 debian:12", "more than one word"),
            ("docker pull --platform linux/arm64 alpine", "more than one word"),
            ("https://hub.docker.com/_/alpine", "such as `alpine:latest`"),
            ("https://hub.docker.com/_/alpine/tags?page=2", "such as `alpine:latest`"),
            ("hub.docker.com/r/grafana/loki/tags", "such as `grafana/loki:latest`"),
            ("https://hub.docker.com/search?q=alpine", "page of Docker Hub"),
            ("https://hub.docker.com/r/%3Cscript%3E", "the image's name alone"),
            ("https://ghcr.io/org/app", "leave out `https://`"),
            (&format!("alpine@sha256:{HEX}"), "look up a tag"),
            (&format!("sha256:{HEX}"), "look up a tag"),
            (&format!("@sha256:{HEX}"), "look up a tag"),
            ("alpine@sha256:abc", "is not a digest"),
            ("Alpine:3.20", "lower case"),
            ("alpine:", "is not a tag"),
            ("bücher/app:v1", "ASCII"),
            ("localhost:8080/ghcr.io/org/app:v1", "write `ghcr.io/org/app:v1`"),
            ("../../etc/passwd", "registry"),
            ("<script>alert(1)</script>", "is not a repository"),
            (&"a".repeat(2_000), "too long"),
        ] {
            let message = lookup_target(text).unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_the_target_is_a_path_of_plain_characters(text in "\\PC{0,60}|[a-zA-Z0-9./:@_ -]{0,60}") {
            if let Ok(target) = lookup_target(&text) {
                let path = target.strip_prefix("/t/").unwrap();
                prop_assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./:_-".contains(&byte)));
                prop_assert_eq!(Reference::parse(path).unwrap().to_string(), path);
            }
        }
    }
}
