//! A whole record: every check there is, each time one is written, found or loaded.
//!
//! Signature, chain, SCT, timestamps, SET, inclusion, checkpoint and the entry's body are `sigstore-verify`'s; what it leaves
//! out is here: that the entry's own log signed the checkpoint, which tree it is of, who signed and vouched, and what the
//! statement says. Anything that does not hold is an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{
    Bundle, DerPublicKey, KindVersion, MediaType, Sha256Hash, SignatureContent, TransparencyLogEntry,
};
use sigstore_verify::{IdentityMatcher, PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

use crate::entry::tree_of;
use crate::error::{Check, Error};
use crate::identity::{Identity, Subject};
use crate::prepared::{Prepared, Verifier as With};
use crate::statement::{PAYLOAD_TYPE, Statement, hex};

/// Bytes of one; they are some 6 kB, and at most four times what was [`Prepared`].
pub(crate) const MAX_BUNDLE: usize = 128 * 1024;

/// A record that passed every check.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The Sigstore bundle (v0.3) as JSON; of a record of the original program, a document of ours.
    pub bundle: Vec<u8>,
    /// What was signed.
    pub statement: Statement,
    /// By whom.
    pub identity: Identity,
    /// Where it is logged.
    pub entry: Entry,
    /// False for records of the original program alone: their entries hold no signature.
    pub signature_verified: bool,
    /// [`Statement::pae_hash`]
    pub pae_hash: [u8; 32],
}

/// A place in Rekor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The log's own name.
    pub log: String,
    /// Tree (Rekor v1 alone) and leaf hash, in hexadecimal.
    pub uuid: String,
    /// Rekor's index.
    pub index: u64,
    /// Unix seconds: the log's signed time, or the timestamp authority's.
    pub time: u64,
}

/// Who has to have signed.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) identity: &'a Identity,
    /// Of a managed key (SubjectPublicKeyInfo).
    pub(crate) key: Option<&'a [u8]>,
}

/// What a bundle proves besides its statement.
pub(crate) struct Logged {
    pub(crate) payload: Vec<u8>,
    pub(crate) entry: Entry,
}

/// Checks a record of a tag.
pub(crate) fn record(root: &TrustedRoot, expected: &Expected<'_>, bytes: &[u8]) -> Result<Verified, Error> {
    let statement = Statement::from_payload(&payload_of(bytes)?)?;
    let logged = logged(root, expected, bytes, statement.digest.as_bytes())?;
    Ok(Verified {
        bundle: bytes.to_vec(),
        pae_hash: statement.pae_hash(),
        statement,
        identity: expected.identity.clone(),
        entry: logged.entry,
        signature_verified: true,
    })
}

/// The payload of a bundle, not yet believed.
pub(crate) fn payload_of(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(envelope(&parse(bytes)?)?.1)
}

fn parse(bytes: &[u8]) -> Result<Bundle, Error> {
    let wrong = |why: String| Error::Verification { check: Check::Shape, why };
    if bytes.len() > MAX_BUNDLE {
        return Err(wrong("it is larger than 128 KiB".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    let bundle = Bundle::from_json(text).map_err(|error| wrong(error.to_string()))?;
    if bundle.media_type() != MediaType::Bundle0_3 {
        return Err(wrong("it is not a bundle of version 0.3".to_owned()));
    }
    Ok(bundle)
}

fn envelope(bundle: &Bundle) -> Result<(String, Vec<u8>), Error> {
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            Ok((envelope.payload_type.clone(), envelope.payload.as_bytes().to_vec()))
        }
        _ => Err(Error::failed(Check::Shape, &"it holds no DSSE envelope")),
    }
}

/// Checks everything but what the payload says; `digest` has to be one of its subjects.
pub(crate) fn logged(
    root: &TrustedRoot,
    expected: &Expected<'_>,
    bytes: &[u8],
    digest: &[u8; 32],
) -> Result<Logged, Error> {
    let bundle = parse(bytes)?;
    let (payload_type, payload) = envelope(&bundle)?;
    if payload_type != PAYLOAD_TYPE {
        return Err(Error::failed(Check::Shape, &"its payload is no in-toto statement"));
    }
    let [entry] = bundle.verification_material.tlog_entries.as_slice() else {
        return Err(Error::failed(Check::Shape, &"it has not exactly one log entry"));
    };
    // Of all logs that are believed, only the entry's own may have signed its checkpoint.
    let mut own = root.clone();
    own.tlogs.retain(|log| log.log_id == entry.log_id);
    let [log] = own.tlogs.as_slice() else {
        return Err(Error::failed(Check::Origin, &"its log is not one that is believed"));
    };
    let host = host_of(&log.base_url);
    let verifier = Verifier::new(&own).map_err(|error| Error::failed(Check::Bundle, &error))?;
    let digest = Sha256Hash::new(*digest);
    let verified = match (&expected.identity.subject, expected.key) {
        (Subject::Key(_), Some(key)) => {
            let policy = PublicKeyVerificationPolicy::new(DerPublicKey::from_bytes(key));
            verifier.verify(digest, &bundle, &policy)
        }
        (subject, _) => {
            let matcher = match subject {
                Subject::Email(email) => IdentityMatcher::Email(email.clone()),
                Subject::Uri(uri) => IdentityMatcher::Uri(uri.clone()),
                Subject::Key(_) => return Err(Error::NoIdentity),
            };
            let policy = VerificationPolicy::new(matcher, expected.identity.issuer.clone());
            verifier.verify(digest, &bundle, &policy)
        }
    };
    let verified = verified.map_err(|error| Error::failed(Check::Bundle, &error))?;
    if !verified.tlog_verified() {
        return Err(Error::failed(Check::Bundle, &"its inclusion was not checked"));
    }
    let earliest = verified.verified_timestamps().iter().min().copied();
    let entry = place(entry, &host, earliest)?;
    Ok(Logged { payload, entry })
}

/// Where the entry is, once its log, tree and time are bound to one another.
fn place(
    entry: &TransparencyLogEntry,
    host: &str,
    earliest: Option<jiff::Timestamp>,
) -> Result<Entry, Error> {
    let wrong = |why: &str| Error::failed(Check::Origin, &why);
    let proof = entry.inclusion_proof.as_ref().ok_or_else(|| wrong("it has no inclusion proof"))?;
    let checkpoint = proof.checkpoint.envelope();
    let origin = checkpoint.split('\n').next().unwrap_or_default();
    let leaf = hex(tlog::leaf_hash(entry.canonicalized_body.as_bytes()).as_bytes());
    let seconds = |time: jiff::Timestamp| u64::try_from(time.as_second()).ok();
    match entry.kind_version {
        KindVersion::DsseV001 | KindVersion::IntotoV002 => {
            if entry.inclusion_promise.is_none() {
                return Err(wrong("it has no signed entry timestamp, so its time is nobody's word"));
            }
            let tree = tree_of(checkpoint).ok_or_else(|| wrong("its checkpoint names no tree"))?;
            let log = origin.rsplit_once(" - ").map(|(log, _)| log.to_owned()).unwrap_or_default();
            let time = entry.integrated_time.and_then(seconds).ok_or_else(|| wrong("it has no time"))?;
            Ok(Entry { log, uuid: format!("{tree}{leaf}"), index: entry.log_index.get(), time })
        }
        KindVersion::HashedRekordV002 => {
            if origin != host {
                return Err(wrong("its checkpoint is of another log than the one that is believed"));
            }
            if proof.log_index.get() != entry.log_index.get() {
                return Err(wrong("its proof is of another entry"));
            }
            let time = earliest.and_then(seconds).ok_or_else(|| wrong("it has no timestamp"))?;
            Ok(Entry { log: origin.to_owned(), uuid: leaf, index: entry.log_index.get(), time })
        }
        _ => Err(wrong("entries of its kind are not used for records")),
    }
}

pub(crate) fn host_of(base_url: &str) -> String {
    let url = url::Url::parse(base_url).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| base_url.to_owned())
}

/// The bundle of a signed payload and its log entry.
pub(crate) fn assemble(prepared: &Prepared, entry: &Value) -> Vec<u8> {
    let encode = |bytes: &[u8]| STANDARD.encode(bytes);
    let timestamps: Vec<Value> =
        prepared.timestamp.iter().map(|token| json!({ "signedTimestamp": encode(token) })).collect();
    let mut material = json!({
        "tlogEntries": [entry],
        "timestampVerificationData": { "rfc3161Timestamps": timestamps },
    });
    let (key, value) = match &prepared.verifier {
        With::Certificate { der, .. } => ("certificate", json!({ "rawBytes": encode(der) })),
        With::Key { spki } => {
            use sha2::Digest as _;
            ("publicKey", json!({ "hint": encode(&sha2::Sha256::digest(spki)) }))
        }
    };
    if let Some(material) = material.as_object_mut() {
        material.insert(key.to_owned(), value);
    }
    let bundle = json!({
        "mediaType": MediaType::Bundle0_3.as_str(),
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payloadType": PAYLOAD_TYPE,
            "payload": encode(&prepared.payload),
            "signatures": [{ "sig": encode(&prepared.signature), "keyid": "" }],
        },
    });
    // Strings: nothing that JSON cannot say.
    serde_json::to_vec(&bundle).unwrap_or_default()
}
