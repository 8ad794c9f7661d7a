//! A signed statement that is not logged yet, with everything that is needed to log it: the very same bytes each time.
//!
//! Kept on disk by the caller until it is logged. Knows no services.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::{Check, Error};
use crate::statement::{PAYLOAD_TYPE, Statement};

/// Bytes of one on disk; they are some 8 kB.
const MAX_BYTES: usize = 32 * 1024;
const VERSION: u32 = 1;

/// Signed, not yet logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prepared {
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) verifier: Verifier,
    /// An RFC 3161 answer over the signature.
    pub(crate) timestamp: Option<Vec<u8>>,
}

/// What the signature is checked with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verifier {
    /// DER, and the last second of its validity.
    Certificate { der: Vec<u8>, not_after: i64 },
    /// SubjectPublicKeyInfo as DER.
    Key { spki: Vec<u8> },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    payload: String,
    signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

impl Prepared {
    /// Itself, if it can be read again.
    pub(crate) fn bounded(self) -> Result<Self, Error> {
        match self.to_bytes().len() {
            0..=MAX_BYTES => Ok(self),
            _ => Err(Error::failed(
                Check::Shape,
                &"its statement, certificate and timestamp are larger than 32 KiB",
            )),
        }
    }

    /// For the disk.
    pub fn to_bytes(&self) -> Vec<u8> {
        let encode = |bytes: &[u8]| STANDARD.encode(bytes);
        let (certificate, not_after, key) = match &self.verifier {
            Verifier::Certificate { der, not_after } => (Some(encode(der)), Some(*not_after), None),
            Verifier::Key { spki } => (None, None, Some(encode(spki))),
        };
        let stored = Stored {
            version: VERSION,
            payload: encode(&self.payload),
            signature: encode(&self.signature),
            certificate,
            not_after,
            key,
            timestamp: self.timestamp.as_deref().map(encode),
        };
        // Strings and numbers: nothing that JSON cannot say.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// From the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Verification`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::failed(Check::Shape, &why);
        if bytes.len() > MAX_BYTES {
            return Err(wrong("a prepared record is larger than 32 KiB"));
        }
        let stored: Stored =
            serde_json::from_slice(bytes).map_err(|error| Error::failed(Check::Shape, &error))?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|error| Error::failed(Check::Shape, &error));
        let verifier = match (stored.certificate, stored.not_after, stored.key) {
            (Some(der), Some(not_after), None) => Verifier::Certificate { der: decode(&der)?, not_after },
            (None, None, Some(spki)) => Verifier::Key { spki: decode(&spki)? },
            _ => return Err(wrong("a prepared record has neither a certificate nor a key")),
        };
        if stored.version != VERSION {
            return Err(wrong("a prepared record is of another version"));
        }
        Ok(Self {
            payload: decode(&stored.payload)?,
            signature: decode(&stored.signature)?,
            verifier,
            timestamp: stored.timestamp.as_deref().map(decode).transpose()?,
        })
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// [`Error::Verification`]
    pub fn statement(&self) -> Result<Statement, Error> {
        Statement::from_payload(&self.payload)
    }

    /// Whether its certificate has ended at this Unix time; a key of one's own never does.
    pub fn has_ended(&self, now: u64) -> bool {
        match &self.verifier {
            Verifier::Certificate { not_after, .. } => i64::try_from(now).is_ok_and(|now| now > *not_after),
            Verifier::Key { .. } => false,
        }
    }

    /// The envelope as Rekor v1 takes it.
    pub(crate) fn envelope(&self) -> String {
        let payload = STANDARD.encode(&self.payload);
        let signature = STANDARD.encode(&self.signature);
        serde_json::json!({
            "payload": payload,
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "sig": signature }],
        })
        .to_string()
    }

    /// What the signature is checked with, as PEM.
    pub(crate) fn verifier_pem(&self) -> String {
        match &self.verifier {
            Verifier::Certificate { der, .. } => pem("CERTIFICATE", der),
            Verifier::Key { spki } => pem("PUBLIC KEY", spki),
        }
    }
}

/// RFC 7468.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The first block of a PEM text: its label and content.
pub(crate) fn from_pem(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    Some((label.to_owned(), STANDARD.decode(body).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_prepared_is_the_same_after_a_restart() {
        for verifier in [
            Verifier::Certificate { der: vec![1, 2, 3], not_after: 1_700_000_000 },
            Verifier::Key { spki: vec![4; 91] },
        ] {
            let prepared = Prepared {
                payload: b"payload".to_vec(),
                signature: b"signature".to_vec(),
                verifier,
                timestamp: Some(vec![9]),
            };
            let again = Prepared::from_bytes(&prepared.to_bytes()).unwrap();
            assert_eq!(again, prepared);
            assert_eq!(again.envelope(), prepared.envelope());
            let (_, der) = from_pem(&prepared.verifier_pem()).unwrap();
            assert!(
                matches!(&prepared.verifier, Verifier::Certificate { der: own, .. } | Verifier::Key { spki: own } if *own == der)
            );
        }
        let large = Prepared {
            payload: b"payload".to_vec(),
            signature: b"signature".to_vec(),
            verifier: Verifier::Key { spki: vec![4; 91] },
            timestamp: Some(vec![9; MAX_BYTES]),
        };
        assert!(large.bounded().is_err(), "it could not be read again");
        for wrong in [&b""[..], b"{}", &[b' '; MAX_BYTES + 1]] {
            assert!(Prepared::from_bytes(wrong).is_err());
        }
    }
}
