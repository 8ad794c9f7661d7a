//! The error envelope of the registry API (distribution-spec, "Error Codes").

use std::fmt;

use serde::Serialize;

/// A code that clients know.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorCode {
    /// The blob is unknown.
    BlobUnknown,
    /// The request is refused.
    Denied,
    /// A digest is malformed or does not match.
    DigestInvalid,
    /// The manifest is malformed.
    ManifestInvalid,
    /// The manifest is unknown.
    ManifestUnknown,
    /// The manifest is not what was recorded.
    ManifestUnverified,
    /// The name is malformed.
    NameInvalid,
    /// The repository is unknown.
    NameUnknown,
    /// A size or range is malformed.
    SizeInvalid,
    /// The tag is malformed.
    TagInvalid,
    /// Ask again later.
    TooManyRequests,
    /// Whoever asks has to log in.
    Unauthorized,
    /// Somebody behind us, or our log, cannot answer now.
    Unavailable,
    /// Something else.
    Unknown,
    /// Not offered here.
    Unsupported,
}

/// One error, as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// For programs.
    pub code: ErrorCode,
    /// For people; the first sentence is all that most clients print.
    pub message: String,
    /// Any further facts.
    pub detail: Option<serde_json::Value>,
}

impl Envelope {
    /// `{"errors":[{"code":…,"message":…,"detail":…}]}`
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            errors: [Entry<'a>; 1],
        }
        #[derive(Serialize)]
        struct Entry<'a> {
            code: &'static str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a serde_json::Value>,
        }
        let entry = Entry { code: self.code.as_str(), message: &self.message, detail: self.detail.as_ref() };
        // Strings and JSON values always have a JSON form.
        serde_json::to_string(&Body { errors: [entry] }).unwrap_or_default()
    }
}

impl ErrorCode {
    /// As it stands in the envelope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::Denied => "DENIED",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::ManifestUnverified => "MANIFEST_UNVERIFIED",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_what_clients_read() {
        let envelope = Envelope {
            code: ErrorCode::ManifestUnknown,
            message: "no \"such\" tag".to_owned(),
            detail: None,
        };
        insta::assert_snapshot!(envelope.to_json(), @r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no \"such\" tag"}]}"#);
        let with_detail = Envelope { detail: Some(serde_json::json!({"index": 7})), ..envelope };
        insta::assert_snapshot!(with_detail.to_json(), @r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no \"such\" tag","detail":{"index":7}}]}"#);
    }
}
