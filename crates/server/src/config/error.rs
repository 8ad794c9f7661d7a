//! What is wrong with a configuration, where, and what to write instead.
//!
//! Knows how to find the place in a TOML file; knows no keys' meanings.

use std::io;
use std::path::{Path, PathBuf};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not readable.
    #[error("configuration file `{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, has an unknown key, or a value that its key does not take.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What is wrong there.
        message: String,
        /// What to write instead, where that can be said.
        hint: Option<String>,
    },
    /// An environment variable's value.
    #[error("environment variable `{variable}`: {message}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A command-line flag's value.
    #[error("`{flag}`: {message}")]
    Flag {
        /// Its name.
        flag: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// No directory to keep data in.
    #[error(
        "no data directory: neither `data_dir`, `$STATE_DIRECTORY`, `$XDG_STATE_HOME` nor `$HOME` is set; name one with `--data-dir DIR`"
    )]
    NoDataDirectory,
    /// Keys that contradict one another or would give away what they protect.
    #[error("{message}")]
    Refused {
        /// What would happen.
        message: String,
        /// The ways out.
        hint: String,
    },
    /// A `[[policy]]` table.
    #[error("`[[policy]]` table {number}: {why}")]
    Rule {
        /// Its place, counted from 1.
        number: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A policy file.
    #[error("`{key}`: `{}` cannot be used: {why}", path.display())]
    PolicyFile {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A secret's file.
    #[error("`{key}` of upstream `{upstream}`: `{}` cannot be used", path.display())]
    Secret {
        /// The registry's name.
        upstream: String,
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// What to do about it, if there is more to say than the message does.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Invalid { hint, .. } => hint.as_deref(),
            Self::Refused { hint, .. } => Some(hint),
            Self::Unreadable { .. } => {
                Some("name another with `--config FILE`, or leave it out to use the defaults")
            }
            Self::Secret { key: "docker_config", .. } => {
                Some("name Docker's `config.json`, readable by this user")
            }
            Self::Secret { key: "token_file", .. } => {
                Some("the file holds a token and nothing else, and is readable by this user")
            }
            Self::Secret { key: "ca_file", .. } => {
                Some("the file holds certificates as PEM, and is readable by this user")
            }
            Self::Secret { .. } => {
                Some("the file holds the password on its first line and is readable by this user")
            }
            Self::PolicyFile { .. } => {
                Some("the file is a C2SP tlog-policy: lines of `log`, `witness`, `group` and one `quorum`")
            }
            Self::Environment { .. } | Self::Flag { .. } | Self::NoDataDirectory | Self::Rule { .. } => None,
        }
    }

    /// A TOML error with its place in `text`.
    pub(super) fn in_file(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let (line, column) = line_and_column(text, offset);
        let message = error.message().trim_end().to_owned();
        let hint = nearest_key(&message);
        Self::Invalid { path: path.to_owned(), line, column, message, hint }
    }
}

/// Line and column, from 1, of a byte offset.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Out of "unknown field `a`, expected one of `b`, `c`": the closest of those to `a`.
fn nearest_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let mut quoted = rest.split('`').step_by(2);
    let wrong = quoted.next()?;
    nearest(wrong, quoted).map(|nearest| format!("did you mean `{nearest}`?"))
}

/// Of what is known that which is closest to `wrong`, if it is close.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (distance(wrong, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let cost = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = cost.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_one() {
        let hint = nearest_key("unknown field `lisen`, expected one of `listen`, `public_url`");
        assert_eq!(hint.as_deref(), Some("did you mean `listen`?"));
        assert_eq!(nearest_key("unknown field `zzzzzzzz`, expected one of `listen`, `public_url`"), None);
    }

    #[test]
    fn places_are_counted_from_one() {
        assert_eq!(line_and_column("a\nbc\n", 0), (1, 1));
        assert_eq!(line_and_column("a\nbc\n", 3), (2, 2));
        assert_eq!(line_and_column("é=1\n", 2), (1, 2));
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
