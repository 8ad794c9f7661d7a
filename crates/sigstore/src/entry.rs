//! An entry of Rekor v1 as its API gives it, and as a bundle holds it (protobuf-specs, `TransparencyLogEntry`).
//!
//! Parsed with bounds; nothing is verified but that the leaf is the one that its id says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tlog::Hash;

use crate::checkpoint::slim;
use crate::error::{Check, Error};
use crate::statement::hex;
use crate::verify::Entry;

/// Hashes on the way to a root.
const MAX_HASHES: usize = 64;

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    /// 16 characters of the tree, 64 of the leaf.
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    /// Over all trees.
    pub(crate) index: u64,
    pub(crate) time: i64,
    pub(crate) log_id: Vec<u8>,
    pub(crate) set: Vec<u8>,
    pub(crate) proof: Proof,
    /// The payload, kept beside the log: covered by nothing.
    pub(crate) attestation: Option<Vec<u8>>,
    pub(crate) kind: String,
    pub(crate) version: String,
    /// The rest of the body.
    pub(crate) spec: Value,
}

/// Within one tree.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) index: u64,
    pub(crate) size: u64,
    pub(crate) root: Vec<u8>,
    pub(crate) hashes: Vec<Vec<u8>>,
    pub(crate) checkpoint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Option<RawVerification>,
    attestation: Option<RawAttestation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVerification {
    signed_entry_timestamp: String,
    inclusion_proof: Option<RawProof>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProof {
    log_index: u64,
    root_hash: String,
    tree_size: u64,
    hashes: Vec<String>,
    checkpoint: String,
}

#[derive(Deserialize)]
struct RawAttestation {
    data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
    spec: Value,
}

impl LogEntry {
    /// Reads one value of `{"<id>": {…}}`.
    pub(crate) fn read(id: &str, value: &Value) -> Result<Self, Error> {
        let wrong = |why: &str| Error::failed(Check::Entry, &why);
        let raw: Raw = Raw::deserialize(value).map_err(|error| Error::failed(Check::Entry, &error))?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|error| Error::failed(Check::Entry, &error));
        let body = decode(&raw.body)?;
        // Whatever the server calls it: the id is the leaf's hash.
        let leaf = hex(tlog::leaf_hash(&body).as_bytes());
        if !id.is_ascii() || !matches!(id.len(), 64 | 80) || !id.ends_with(&leaf) {
            return Err(wrong("its id is not that of its leaf"));
        }
        let Body { api_version, kind, spec } =
            serde_json::from_slice(&body).map_err(|error| Error::failed(Check::Entry, &error))?;
        let verification = raw.verification.ok_or_else(|| wrong("it comes without evidence"))?;
        let proof =
            verification.inclusion_proof.ok_or_else(|| wrong("it comes without an inclusion proof"))?;
        if proof.hashes.len() > MAX_HASHES {
            return Err(wrong("its inclusion proof is longer than any tree is high"));
        }
        let hashes: Option<Vec<Vec<u8>>> = proof.hashes.iter().map(|text| unhex(text)).collect();
        // With its tree, the id also says whose checkpoint has to come with it.
        if id.len() == 80 && tree_of(&proof.checkpoint).is_none_or(|tree| !id.starts_with(&tree)) {
            return Err(Error::failed(Check::Origin, &"its checkpoint is of another tree than its id"));
        }
        let attestation = raw.attestation.and_then(|attestation| attestation.data);
        Ok(Self {
            id: id.to_owned(),
            body,
            index: raw.log_index,
            time: raw.integrated_time,
            log_id: unhex(&raw.log_id).ok_or_else(|| wrong("its log id is none"))?,
            set: decode(&verification.signed_entry_timestamp)?,
            proof: Proof {
                index: proof.log_index,
                size: proof.tree_size,
                root: unhex(&proof.root_hash).ok_or_else(|| wrong("its root is no hash"))?,
                hashes: hashes.ok_or_else(|| wrong("its inclusion proof has no hashes"))?,
                checkpoint: slim(&proof.checkpoint),
            },
            attestation: attestation.as_deref().map(decode).transpose()?,
            kind,
            version: api_version,
            spec,
        })
    }

    /// As the API gives it, without anything that is not known here.
    pub(crate) fn to_api(&self) -> Value {
        let mut entry = json!({
            "body": STANDARD.encode(&self.body),
            "integratedTime": self.time,
            "logID": hex(&self.log_id),
            "logIndex": self.index,
            "verification": {
                "signedEntryTimestamp": STANDARD.encode(&self.set),
                "inclusionProof": {
                    "logIndex": self.proof.index,
                    "rootHash": hex(&self.proof.root),
                    "treeSize": self.proof.size,
                    "hashes": self.proof.hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
                    "checkpoint": self.proof.checkpoint,
                },
            },
        });
        if let (Some(entry), Some(attestation)) = (entry.as_object_mut(), &self.attestation) {
            entry.insert("attestation".to_owned(), json!({ "data": STANDARD.encode(attestation) }));
        }
        entry
    }

    /// As a bundle holds it. What is zero or empty is written: some verifiers demand it.
    pub(crate) fn to_protojson(&self) -> Value {
        let encode = |bytes: &[u8]| STANDARD.encode(bytes);
        json!({
            "logIndex": self.index.to_string(),
            "logId": { "keyId": encode(&self.log_id) },
            "kindVersion": { "kind": self.kind, "version": self.version },
            "integratedTime": self.time.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": encode(&self.set) },
            "inclusionProof": {
                "logIndex": self.proof.index.to_string(),
                "rootHash": encode(&self.proof.root),
                "treeSize": self.proof.size.to_string(),
                "hashes": self.proof.hashes.iter().map(|hash| encode(hash)).collect::<Vec<_>>(),
                "checkpoint": { "envelope": self.proof.checkpoint },
            },
            "canonicalizedBody": encode(&self.body),
        })
    }

    /// When it was logged.
    pub(crate) fn time(&self) -> Result<Timestamp, Error> {
        Timestamp::from_second(self.time).map_err(|_why| Error::failed(Check::Entry, &"its time is none"))
    }

    /// The tree that its checkpoint is of, as 16 hexadecimal characters: `<host> - <decimal>` in the first line.
    pub(crate) fn tree(&self) -> Option<String> {
        tree_of(&self.proof.checkpoint)
    }

    /// Where it is, by its own word.
    pub(crate) fn place(&self) -> Entry {
        let leaf = hex(tlog::leaf_hash(&self.body).as_bytes());
        Entry {
            log: self.proof.checkpoint.split(" - ").next().unwrap_or_default().to_owned(),
            uuid: format!("{}{leaf}", self.tree().unwrap_or_default()),
            index: self.index,
            time: u64::try_from(self.time).unwrap_or_default(),
        }
    }

    pub(crate) fn root(&self) -> Option<Hash> {
        hash(&self.proof.root)
    }

    pub(crate) fn hashes(&self) -> Option<Vec<Hash>> {
        self.proof.hashes.iter().map(|bytes| hash(bytes)).collect()
    }
}

/// The tree that a checkpoint of Rekor v1 is of, as in the ids of its entries.
pub(crate) fn tree_of(checkpoint: &str) -> Option<String> {
    let (origin, _) = checkpoint.split_once('\n')?;
    let (_, tree) = origin.rsplit_once(" - ")?;
    let tree: u64 = tree.parse().ok()?;
    Some(format!("{tree:016x}"))
}

pub(crate) fn hash(bytes: &[u8]) -> Option<Hash> {
    Some(Hash::from_bytes(bytes.try_into().ok()?))
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
