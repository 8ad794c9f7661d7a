//! Values of arguments, parsed where they enter; what is none is answered with what was probably meant.
//! It must not know which argument takes which.

use std::net::SocketAddr;
use std::time::Duration;

use oci::{Reference, RegistryHost, Selector, Sha256Digest, TagName};
use tlog::VerifierKey;
use url::Url;

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

/// A reference that names a tag, and perhaps the digest that it should have.
pub(crate) fn tag_reference(text: &str) -> Result<Reference, Wrong> {
    let reference = Reference::parse(text);
    match reference {
        Ok(reference) if !matches!(reference.selector, Selector::Digest(_)) => Ok(reference),
        // Its errors say all that there is to say.
        _ => tag(text).map(|tag| Reference { name: tag.name, selector: Selector::Tag(tag.tag) }),
    }
}

/// `tlog.example/log+1947aa44+AYqI…`
pub(crate) fn log_key(text: &str) -> Result<VerifierKey, Wrong> {
    text.parse().map_err(|error: tlog::Error| {
        Wrong::new(
            &error,
            "a verifier key is one word of three parts, as the service shows it at `/log/vkey`",
        )
    })
}

/// `1h`
pub(crate) fn span(text: &str) -> Result<Duration, Wrong> {
    let split = text.find(|c: char| !c.is_ascii_digit()).and_then(|at| text.split_at_checked(at));
    let seconds = split.and_then(|(number, unit)| {
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(unit)
    });
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Wrong::new(&format!("`{text}` is not a length of time"), "write it as `30s`, `10m`, `1h` or `3d`")
    })
}

/// `https://tlog.example`
pub(crate) fn server(text: &str) -> Result<Url, Wrong> {
    let hint =
        "write the URL of the service alone, such as `https://tlog.example` or `http://localhost:8080`";
    let wrong = || Wrong::new(&format!("`{text}` is not the URL of a service"), hint);
    let url = Url::parse(text).map_err(|_syntax| wrong())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && plain { Ok(url) } else { Err(wrong()) }
}

/// A registry as clients name it, or all of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Registry(String);

impl Registry {
    /// `docker.io`, `registry.example:5000`, or `*`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for all.
    pub(crate) fn is_all(&self) -> bool {
        self.0 == "*"
    }

    /// The host that a client connects to.
    pub(crate) fn serving_host(&self) -> &str {
        match self.as_str() {
            "docker.io" => "registry-1.docker.io",
            "*" => "every registry",
            other => other,
        }
    }
}

/// `docker.io`, `ghcr.io`, `*`
pub(crate) fn registry(text: &str) -> Result<Registry, Wrong> {
    if text == "*" {
        return Ok(Registry(text.to_owned()));
    }
    let host = RegistryHost::canonicalize(text)
        .map_err(|error| Wrong::new(&error, "name the registry alone, such as `docker.io` or `ghcr.io`"))?;
    // Clients say `docker.io` where the log says `index.docker.io`.
    let name = if host == RegistryHost::docker_hub() { "docker.io" } else { host.as_str() };
    Ok(Registry(name.to_owned()))
}

/// An absolute path that can stand in any configuration file.
pub(crate) fn absolute(text: &str) -> Result<String, Wrong> {
    if text.starts_with('/') && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let problem = format!("`{}` is not an absolute path", text.escape_debug());
    Err(Wrong::new(&problem, "write it as on the client's machine, such as `/etc/ssl/tlogistry-ca.pem`"))
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

    #[test]
    fn a_server_is_a_url_and_nothing_else() {
        for right in ["http://localhost:8080", "https://tlog.example/"] {
            assert!(server(right).is_ok(), "{right}");
        }
        for wrong in [
            "tlog.example",
            "localhost:8080",
            "ftp://tlog.example",
            "https://user@tlog.example",
            "https://tlog.example/v2/",
            "https://tlog.example/?x",
            "https://tlog.example/#x",
            "",
        ] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_length_of_time_needs_a_unit() {
        assert_eq!(span("90m").unwrap(), Duration::from_secs(5_400));
        for wrong in ["", "5", "h", "1w", "-1h", "99999999999999999999d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
