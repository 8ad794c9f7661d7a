//! What an entry of Rekor v1 proves by itself, without its payload: that this log has it, since when, and whose certificate
//! it holds.
//!
//! For records whose statement cannot be had, and for those of the original program, whose entries hold no signature.
//! Whatever has a whole bundle goes through `verify` instead.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::json;
use sigstore_crypto::{Checkpoint, SubjectAltName, VerificationKey, parse_certificate_info};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{DerCertificate, SignatureBytes};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::entry::LogEntry;
use crate::error::{Check, Error};
use crate::identity::{Identity, Subject};
use crate::prepared::from_pem;
use crate::statement::hex;

/// `id-kp-codeSigning`
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// Whose certificate this is, by its own word.
pub(crate) fn identity_in(der: &[u8]) -> Option<Identity> {
    let info = parse_certificate_info(&DerCertificate::from_bytes(der)).ok()?;
    let subject = match info.identity? {
        SubjectAltName::Email(email) => Subject::Email(email),
        SubjectAltName::Uri(uri) => Subject::Uri(uri),
        _ => return None,
    };
    Some(Identity { subject, issuer: info.issuer? })
}

/// Checks that a log that is believed has this entry, since the time that it says.
pub(crate) fn logged(root: &TrustedRoot, entry: &LogEntry) -> Result<(), Error> {
    let wrong = |why: &str| Error::failed(Check::Entry, &why);
    let log = root.tlogs.iter().find(|log| log.log_id.key_id.as_bytes() == entry.log_id);
    let log = log.ok_or_else(|| wrong("its log is not one that is believed"))?;
    let time = Timestamp::from_second(entry.time).map_err(|_why| wrong("its time is none"))?;
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

/// Checks that a certificate of `expected` was valid when the entry was made.
pub(crate) fn certified(
    root: &TrustedRoot,
    entry: &LogEntry,
    der: &[u8],
    expected: &Identity,
) -> Result<(), Error> {
    let wrong = |why: &str| Error::failed(Check::Bundle, &why);
    if identity_in(der).as_ref() != Some(expected) {
        return Err(wrong("its certificate is somebody else's"));
    }
    let time = Timestamp::from_second(entry.time).map_err(|_why| wrong("its time is none"))?;
    let authorities = root
        .certificate_authorities
        .iter()
        .filter(|authority| authority.valid_for.is_none_or(|window| window.contains(time)));
    let chains: Vec<CertificateDer<'_>> = authorities
        .flat_map(|authority| &authority.cert_chain.certificates)
        .map(|certificate| CertificateDer::from(certificate.raw_bytes.as_bytes()))
        .collect();
    let anchors: Vec<_> = chains.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    let der = CertificateDer::from(der);
    let leaf = EndEntityCert::try_from(&der).map_err(|_why| wrong("its certificate is none"))?;
    let seconds = u64::try_from(entry.time).map_err(|_why| wrong("its time is none"))?;
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &[],
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        KeyUsage::required(CODE_SIGNING),
        None,
        None,
    )
    .map_err(|error| Error::failed(Check::Bundle, &format!("its certificate: {error}")))?;
    Ok(())
}

/// Base64 of PEM, as entries hold verifiers: the label and the DER.
pub(crate) fn verifier(text: Option<&serde_json::Value>) -> Option<(String, Vec<u8>)> {
    let pem = STANDARD.decode(text?.as_str()?).ok()?;
    from_pem(std::str::from_utf8(&pem).ok()?)
}
