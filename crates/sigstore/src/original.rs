//! Records that the original program made (`tlogistry-fetched` in an `intoto` 0.0.1 entry), adopted where the configuration
//! names its identity.
//!
//! Such an entry holds no signature, so that Rekor once checked one is all that is left; everything else is checked. They
//! are kept in a document of our own, which is checked again on each load.

use oci::Sha256Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::TrustedRoot;

use crate::certificate::issued;
use crate::entry::LogEntry;
use crate::error::{Check, Error};
use crate::evidence::{logged, verifier};
use crate::identity::Identity;
use crate::statement::{Action, Statement, hex, pae};
use crate::verify::{MAX_BUNDLE, Verified};

/// Of our document.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.tlogistry.rekor-entry.v1+json";
const PREDICATE_TYPE: &str = "tlogistry-fetched";

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "mediaType")]
    media_type: String,
    id: String,
    entry: Value,
}

#[derive(Deserialize)]
struct Original {
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Fetched,
}

#[derive(Deserialize)]
struct Fetched {
    tag: String,
    digest: String,
}

/// Whether these bytes are a document of ours.
pub(crate) fn is_document(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_BUNDLE
        && serde_json::from_slice::<Document>(bytes).is_ok_and(|document| document.media_type == MEDIA_TYPE)
}

/// Checks a document that was kept.
pub(crate) fn load(root: &TrustedRoot, identities: &[Identity], bytes: &[u8]) -> Result<Verified, Error> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| Error::failed(Check::Shape, &error))?;
    let entry = LogEntry::read(&document.id, &document.entry)?;
    let mut failed = Error::NoIdentity;
    for identity in identities {
        match adopt(root, identity, &entry) {
            Ok(verified) => return Ok(verified),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Checks an entry that was found.
pub(crate) fn adopt(root: &TrustedRoot, identity: &Identity, entry: &LogEntry) -> Result<Verified, Error> {
    let wrong = |check, why: &str| Error::failed(check, &why);
    if (entry.kind.as_str(), entry.version.as_str()) != ("intoto", "0.0.1") {
        return Err(wrong(Check::Entry, "it is of another kind"));
    }
    let (_, certificate) = verifier(entry.spec.get("publicKey"))
        .ok_or_else(|| wrong(Check::Entry, "it holds no certificate"))?;
    logged(root, entry)?;
    issued(root, &certificate, identity, entry.time()?)?;
    let payload =
        entry.attestation.as_deref().ok_or_else(|| wrong(Check::Payload, "its attestation is not there"))?;
    let said = entry.spec.pointer("/content/payloadHash/value").and_then(Value::as_str);
    if said != Some(hex(&Sha256::digest(payload)).as_str()) {
        return Err(wrong(Check::Payload, "its attestation is not the one that was logged"));
    }
    let statement: Original =
        serde_json::from_slice(payload).map_err(|error| Error::failed(Check::Statement, &error))?;
    if statement.predicate_type != PREDICATE_TYPE {
        return Err(wrong(Check::Statement, "it is of another type"));
    }
    let digest = Sha256Digest::parse(&statement.predicate.digest)
        .map_err(|_why| wrong(Check::Statement, "its digest is none"))?;
    let document = json!({ "mediaType": MEDIA_TYPE, "id": entry.id, "entry": entry.to_api() });
    let document = serde_json::to_vec(&document).unwrap_or_default();
    if document.len() > MAX_BUNDLE {
        return Err(wrong(Check::Shape, "it is larger than 128 KiB"));
    }
    Ok(Verified {
        bundle: document,
        statement: Statement {
            reference: statement.predicate.tag,
            digest,
            media_type: None,
            sequence: 0,
            previous: None,
            action: Action::FirstSeen,
            log_origin: None,
        },
        identity: identity.clone(),
        entry: entry.place(),
        signature_verified: false,
        pae_hash: Sha256::digest(pae(payload)).into(),
    })
}
