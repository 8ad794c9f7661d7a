//! The in-toto statement of a tag, and the DSSE envelope's bytes that are signed.
//!
//! The payload is a pure function of what it says (RFC 8785): whoever knows a reference and a digest can compute it, and so
//! find out whether it was logged. Knows no signatures.

use oci::Sha256Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Check, Error};

/// Of the envelope.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Of a record of a tag.
pub const TAG_RECORD: &str = "https://tlogistry.dev/tag-record/v1";
/// Of a checkpoint of our log.
pub const CHECKPOINT: &str = "https://tlogistry.dev/checkpoint/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What a tag came to mean.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// `index.docker.io/library/alpine:3.16.0`
    pub reference: String,
    /// Of the manifest.
    pub digest: Sha256Digest,
    /// Of the manifest.
    pub media_type: Option<String>,
    /// 0 for the first of a tag.
    pub sequence: u64,
    /// [`pae_hash`](Self::pae_hash) of the one before.
    pub previous: Option<[u8; 32]>,
    /// Why.
    pub action: Action,
    /// The name of the log that has the tag as well.
    pub log_origin: Option<String>,
}

/// How a tag came to mean a digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// It was pulled for the first time.
    FirstSeen,
    /// An operator said so.
    Supersede {
        /// In their words.
        reason: String,
    },
}

#[derive(Deserialize, Serialize)]
struct InToto<P> {
    #[serde(rename = "_type")]
    kind: String,
    predicate: P,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize, Serialize, Eq, PartialEq)]
struct Subject {
    digest: Digests,
    name: String,
}

#[derive(Deserialize, Serialize, Eq, PartialEq)]
struct Digests {
    sha256: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TagRecord {
    action: String,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    reference: String,
    sequence: u64,
}

#[derive(Serialize)]
struct CheckpointRecord<'a> {
    checkpoint: &'a str,
    origin: &'a str,
}

/// What a reference is looked up by in Rekor v1: the key that the original used as well.
pub(crate) fn reference_hash(reference: &str) -> String {
    hex(&Sha256::digest(reference))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that a DSSE signature is over (DSSE, "PAE").
pub(crate) fn pae(payload: &[u8]) -> Vec<u8> {
    let mut text = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    text.extend_from_slice(payload);
    text
}

impl Statement {
    /// The payload.
    pub fn to_payload(&self) -> Vec<u8> {
        let (action, reason) = match &self.action {
            Action::FirstSeen => ("first-seen", None),
            Action::Supersede { reason } => ("supersede", Some(reason.clone())),
        };
        let predicate = TagRecord {
            action: action.to_owned(),
            digest: self.digest.to_string(),
            log: self.log_origin.clone(),
            media_type: self.media_type.clone(),
            previous: self.previous.map(|hash| format!("sha256:{}", hex(&hash))),
            reason,
            reference: self.reference.clone(),
            sequence: self.sequence,
        };
        canonical(TAG_RECORD, predicate, self.subjects())
    }

    /// Reads a payload, which has to be what [`to_payload`](Self::to_payload) makes of it.
    ///
    /// # Errors
    ///
    /// [`Error::Verification`]
    pub fn from_payload(payload: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::failed(Check::Statement, &why);
        let statement: InToto<TagRecord> =
            serde_json::from_slice(payload).map_err(|error| Error::failed(Check::Statement, &error))?;
        if statement.predicate_type != TAG_RECORD {
            return Err(wrong("it is not a record of a tag"));
        }
        let record = statement.predicate;
        let digest = Sha256Digest::parse(&record.digest).map_err(|_why| wrong("its digest is none"))?;
        let previous = match &record.previous {
            None => None,
            Some(text) => {
                let hash = Sha256Digest::parse(text).map_err(|_why| wrong("its `previous` is no hash"))?;
                Some(*hash.as_bytes())
            }
        };
        let action = match (record.action.as_str(), record.reason) {
            ("first-seen", None) => Action::FirstSeen,
            ("supersede", Some(reason)) => Action::Supersede { reason },
            _ => return Err(wrong("its action is unknown")),
        };
        let read = Self {
            reference: record.reference,
            digest,
            media_type: record.media_type,
            sequence: record.sequence,
            previous,
            action,
            log_origin: record.log,
        };
        // One spelling only, subjects included: whoever computes it has to find it.
        if read.to_payload() != payload {
            return Err(wrong("it is not written as it has to be"));
        }
        Ok(read)
    }

    /// SHA-256 of what is signed, by which Rekor v2 and the next statement name it.
    pub fn pae_hash(&self) -> [u8; 32] {
        Sha256::digest(pae(&self.to_payload())).into()
    }

    fn subjects(&self) -> Vec<Subject> {
        let subject = |name: String, sha256: String| Subject { name, digest: Digests { sha256 } };
        vec![
            subject(self.reference.clone(), hex(self.digest.as_bytes())),
            subject(format!("tag:{}", self.reference), reference_hash(&self.reference)),
        ]
    }
}

/// The payload of a statement about a checkpoint of ours.
pub(crate) fn checkpoint_payload(origin: &str, checkpoint: &str) -> Vec<u8> {
    let sha256 = hex(&Sha256::digest(checkpoint));
    let subject = Subject { name: origin.to_owned(), digest: Digests { sha256 } };
    canonical(CHECKPOINT, CheckpointRecord { checkpoint, origin }, vec![subject])
}

fn canonical(predicate_type: &str, predicate: impl Serialize, subject: Vec<Subject>) -> Vec<u8> {
    let statement = InToto {
        kind: STATEMENT_TYPE.to_owned(),
        predicate,
        predicate_type: predicate_type.to_owned(),
        subject,
    };
    // Strings and small numbers: nothing that RFC 8785 cannot say.
    serde_json_canonicalizer::to_vec(&statement).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            reference: "index.docker.io/library/alpine:3.16.0".to_owned(),
            digest: Sha256Digest::of(b"manifest"),
            media_type: Some("application/vnd.oci.image.index.v1+json".to_owned()),
            sequence: 0,
            previous: None,
            action: Action::FirstSeen,
            log_origin: Some("tlog.example/log".to_owned()),
        }
    }

    #[test]
    fn a_payload_is_canonical_json_and_read_back() {
        let first = statement();
        let second = Statement {
            sequence: 1,
            previous: Some(first.pae_hash()),
            action: Action::Supersede { reason: "rebuilt, \"ä\"\n".to_owned() },
            log_origin: None,
            media_type: None,
            ..statement()
        };
        for statement in [first, second] {
            let payload = statement.to_payload();
            assert_eq!(Statement::from_payload(&payload).unwrap(), statement);
            let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(serde_json_canonicalizer::to_vec(&value).unwrap(), payload);
        }
    }

    #[test]
    fn the_second_subject_is_what_the_original_looked_up() {
        let value: serde_json::Value = serde_json::from_slice(&statement().to_payload()).unwrap();
        assert_eq!(value["subject"][1]["name"], "tag:index.docker.io/library/alpine:3.16.0");
        assert_eq!(
            value["subject"][1]["digest"]["sha256"],
            hex(&Sha256::digest("index.docker.io/library/alpine:3.16.0"))
        );
    }

    #[test]
    fn another_spelling_type_or_subject_is_no_statement() {
        let text = String::from_utf8(statement().to_payload()).unwrap();
        let other = Statement { reference: "ghcr.io/org/app:v1".to_owned(), ..statement() };
        let other = String::from_utf8(other.to_payload()).unwrap();
        let foreign_subject = text.replace(
            &text[text.find("\"subject\"").unwrap()..],
            &other[other.find("\"subject\"").unwrap()..],
        );
        for wrong in [
            text.replace(':', ": "),
            text.replace(TAG_RECORD, "https://slsa.dev/provenance/v1"),
            text.replace("first-seen", "last-seen"),
            text.replace("\"sequence\":0", "\"sequence\":0,\"x\":1"),
            foreign_subject,
            String::new(),
            "{}".to_owned(),
        ] {
            assert!(Statement::from_payload(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_encoding_before_authentication_is_that_of_dsse() {
        assert_eq!(pae(b"{}"), b"DSSEv1 28 application/vnd.in-toto+json 2 {}");
    }
}
