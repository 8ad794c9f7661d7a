//! Canonical names: registry host, repository, tag; the one spelling that records stand under.
//!
//! Two spellings of one tag would be two records of it, so everything that names an image passes
//! through [`Name::canonicalize`] and nothing else.

use std::fmt;

/// A registry's host, perhaps with a port; lower case, without `:443` and trailing dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RegistryHost(String);

/// `<registry host>/<repository>`, at most 255 bytes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name {
    text: String,
    host: RegistryHost,
}

/// A tag, byte for byte.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(String);

/// A name and a tag: what a record is about.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TagName {
    /// The repository.
    pub name: Name,
    /// The tag.
    pub tag: Tag,
}

/// A text that names no image, with the way out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// No registry can have this host.
    #[error("`{0}` is not the host of a registry; write a DNS name with a dot, such as `ghcr.io`")]
    Host(String),
    /// Not ASCII.
    #[error("`{0}` is not ASCII; write an international host name in its `xn--` form")]
    NotAscii(String),
    /// Upper case in a repository.
    #[error("`{0}` holds upper case letters; repositories are lower case")]
    UpperCase(String),
    /// Not a repository.
    #[error(
        "`{0}` is not a repository; use lower-case letters, digits and single `.`, `_`, `__`, `-` within components"
    )]
    Repository(String),
    /// A colon within the path.
    #[error(
        "`{0}` holds a `:`; configure a registry with a port as `[upstreams.\"name.alt\"]` and pull `name.alt/…`"
    )]
    Port(String),
    /// Longer than 255 bytes.
    #[error("the name is {0} bytes long; at most 255 fit")]
    TooLong(usize),
    /// Not a tag.
    #[error(
        "`{0}` is not a tag; use up to 128 letters, digits, `.`, `_`, `-`, and do not begin with `.` or `-`"
    )]
    Tag(String),
    /// Another spelling of a canonical name.
    #[error("`{found}` is not the canonical spelling; write `{canonical}`")]
    NotCanonical {
        /// As written.
        found: String,
        /// As it should be.
        canonical: String,
    },
}

const DOCKER_HUB: &str = "index.docker.io";
const DOCKER_ALIASES: [&str; 4] =
    ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
const MAX_NAME: usize = 255;

impl RegistryHost {
    /// Docker Hub, as records write it.
    pub fn docker_hub() -> Self {
        Self(DOCKER_HUB.to_owned())
    }

    /// Lower case, one trailing dot and `:443` removed, Docker's aliases folded.
    ///
    /// # Errors
    ///
    /// [`NameError::Host`], [`NameError::NotAscii`].
    pub fn canonicalize(text: &str) -> Result<Self, NameError> {
        if !text.is_ascii() {
            return Err(NameError::NotAscii(shortened(text)));
        }
        let lower = text.to_ascii_lowercase();
        let (host, port) = match lower.split_once(':') {
            None => (lower.as_str(), None),
            Some((host, port)) => (host, Some(port)),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let wrong = || NameError::Host(shortened(text));
        let port = match port {
            Some("443") | None => None,
            Some(port) => Some(port).filter(|port| is_port(port)).map(Some).ok_or_else(wrong)?,
        };
        let dotted = host.contains('.') || host == "localhost";
        if !dotted || !host.split('.').all(is_label) {
            return Err(wrong());
        }
        Ok(Self(match port {
            None if DOCKER_ALIASES.contains(&host) => DOCKER_HUB.to_owned(),
            // An alias with a port is no spelling of Docker Hub, and no name of its own.
            Some(_) if DOCKER_ALIASES.contains(&host) => return Err(wrong()),
            None => host.to_owned(),
            Some(port) => format!("{host}:{port}"),
        }))
    }

    /// As written in records.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// Folds any spelling of an image's name into the canonical one: the first component is a
    /// registry if it contains a dot, a colon, or is `localhost`; otherwise the name is Docker
    /// Hub's. Idempotent.
    ///
    /// # Errors
    ///
    /// [`NameError`], which says the way out.
    pub fn canonicalize(path: &str) -> Result<Self, NameError> {
        if !path.is_ascii() {
            return Err(NameError::NotAscii(shortened(path)));
        }
        match path.split_once('/') {
            Some((first, rest)) if names_a_registry(first) => {
                Self::new(RegistryHost::canonicalize(first)?, rest)
            }
            _ => Self::new(RegistryHost::docker_hub(), path),
        }
    }

    /// A repository of a registry; `library/` is added on Docker Hub where it is left out.
    ///
    /// # Errors
    ///
    /// [`NameError`] for a repository that is none, or a name that is too long.
    pub fn new(host: RegistryHost, repository: &str) -> Result<Self, NameError> {
        check_repository(repository)?;
        let library = if host.0 == DOCKER_HUB && !repository.contains('/') { "library/" } else { "" };
        let text = format!("{}/{library}{repository}", host.0);
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong(text.len()));
        }
        Ok(Self { text, host })
    }

    /// Accepts the canonical spelling alone.
    ///
    /// # Errors
    ///
    /// [`NameError::NotCanonical`] with the right spelling, or what [`Name::canonicalize`] says.
    pub fn parse_canonical(text: &str) -> Result<Self, NameError> {
        let name = Self::canonicalize(text)?;
        if name.text == text {
            return Ok(name);
        }
        Err(NameError::NotCanonical { found: shortened(text), canonical: name.text })
    }

    /// `<host>/<repository>`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// Without the registry.
    pub fn repository(&self) -> &str {
        self.text.get(self.host.0.len() + 1..).unwrap_or_default()
    }
}

impl Tag {
    /// Checks the grammar; the bytes are kept as they are.
    ///
    /// # Errors
    ///
    /// [`NameError::Tag`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let ok =
            bytes.next().is_some_and(word) && bytes.all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if ok && text.len() <= 128 { Ok(Self(text.to_owned())) } else { Err(NameError::Tag(shortened(text))) }
    }

    /// The bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

/// Components of letters and digits, joined within by `.`, `_`, `__` or dashes, and by `/`.
fn check_repository(repository: &str) -> Result<(), NameError> {
    if repository.contains(':') {
        return Err(NameError::Port(shortened(repository)));
    }
    if repository.split('/').all(is_component) {
        return Ok(());
    }
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(NameError::UpperCase(shortened(repository)));
    }
    Err(NameError::Repository(shortened(repository)))
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
    let mut separators = bytes.split(alphanumeric).filter(|run| !run.is_empty());
    ends && separators.all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-'))
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (1..=63).contains(&bytes.len())
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// 1 to 65535, without leading zeros.
fn is_port(port: &str) -> bool {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    digits && port.parse::<u16>().is_ok()
}

/// Whether the first component of a path is a registry's host, by the rule of docker.
pub(crate) fn names_a_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost")
}

/// For messages: a hostile text is not repeated in full.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(160).collect()
}

#[cfg(test)]
mod tests;
