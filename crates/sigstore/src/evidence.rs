//! What an entry of Rekor v1 proves by itself, without its payload: that this log has it, and since when.
//!
//! For records whose statement cannot be had, and for those of the original program, whose entries hold no signature.
//! Whatever has a whole bundle goes through `verify` instead.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sigstore_crypto::{Checkpoint, VerificationKey};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::SignatureBytes;

use crate::entry::LogEntry;
use crate::error::{Check, Error};
use crate::prepared::from_pem;
use crate::statement::hex;

/// Checks that a log that is believed has this entry, since the time that it says.
pub(crate) fn logged(root: &TrustedRoot, entry: &LogEntry) -> Result<(), Error> {
    let wrong = |why: &str| Error::failed(Check::Entry, &why);
    let log = root.tlogs.iter().find(|log| log.log_id.key_id.as_bytes() == entry.log_id);
    let log = log.ok_or_else(|| wrong("its log is not one that is believed"))?;
    let time = entry.time()?;
    if log.public_key.valid_for.is_some_and(|window| !window.contains(time)) {
        return Err(wrong("its log's key was not valid then"));
    }
    let key = VerificationKey::from_spki(&log.public_key.raw_bytes)
        .map_err(|_why| wrong("its log's key is none"))?;
    let signed = json!({
        "body": STANDARD.encode(&entry.body),
        "integratedTime": entry.time,
        "logID": hex(&entry.log_id),
        "logIndex": entry.index,
    });
    let signed =
        serde_json_canonicalizer::to_vec(&signed).map_err(|error| Error::failed(Check::Entry, &error))?;
    key.verify(&signed, &SignatureBytes::from_bytes(&entry.set))
        .map_err(|_why| wrong("its signed entry timestamp is not the log's"))?;
    let (hashes, root_hash) = (entry.hashes(), entry.root());
    let (Some(hashes), Some(root_hash)) = (hashes, root_hash) else {
        return Err(wrong("its inclusion proof has no hashes"));
    };
    let proof = &entry.proof;
    tlog::verify_inclusion(proof.index, proof.size, tlog::leaf_hash(&entry.body), root_hash, &hashes)
        .map_err(|_why| wrong("its inclusion proof does not lead to the root"))?;
    let checkpoint =
        Checkpoint::from_text(&proof.checkpoint).map_err(|_why| wrong("its checkpoint is none"))?;
    if checkpoint.tree_size() != proof.size || checkpoint.root_hash().as_bytes() != root_hash.as_bytes() {
        return Err(wrong("its checkpoint is of another tree than its proof"));
    }
    let by_the_log = checkpoint
        .signatures()
        .iter()
        .any(|signature| key.verify(checkpoint.signed_data(), &signature.signature).is_ok());
    if !by_the_log {
        return Err(wrong("its checkpoint is not signed by its log"));
    }
    Ok(())
}

/// Base64 of PEM, as entries hold verifiers: the label and the DER.
pub(crate) fn verifier(text: Option<&serde_json::Value>) -> Option<(String, Vec<u8>)> {
    let pem = STANDARD.decode(text?.as_str()?).ok()?;
    from_pem(std::str::from_utf8(&pem).ok()?)
}

/// SHA-256 of the payload of an `intoto` entry, in hexadecimal.
pub(crate) fn payload_hash(entry: &LogEntry) -> Option<&str> {
    entry.spec.pointer("/content/payloadHash/value").and_then(serde_json::Value::as_str)
}
