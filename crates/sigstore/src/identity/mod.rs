//! Who signs: the name in a certificate and who vouched for it, and the tokens that say so.
//!
//! Knows no certificates.

mod claims;
mod source;

use std::fmt;

pub(crate) use self::claims::identity_of;
pub(crate) use self::source::token;

/// A signer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The certificate's subject alternative name, or the key itself.
    pub subject: Subject,
    /// Who issued the token; empty for a key.
    pub issuer: String,
}

/// Kind and value of a signer's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// An address, as of a Google Cloud service account.
    Email(String),
    /// A URI, as of a workflow or a Kubernetes service account.
    Uri(String),
    /// SHA-256 of a managed key (SubjectPublicKeyInfo), in hexadecimal.
    Key(String),
}

impl Subject {
    /// An address where there is an `@` and no scheme, else a URI.
    pub fn of_text(text: &str) -> Self {
        if text.contains('@') && !text.contains("://") {
            Self::Email(text.to_owned())
        } else {
            Self::Uri(text.to_owned())
        }
    }

    /// Without its kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(text) | Self::Uri(text) | Self::Key(text) => text,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Key(hash) => write!(f, "key {hash}"),
            Subject::Email(name) | Subject::Uri(name) => write!(f, "{name} ({})", self.issuer),
        }
    }
}
