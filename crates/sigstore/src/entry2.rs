//! An entry of Rekor v2 as its API gives it, and as a bundle holds it (protobuf-specs, `TransparencyLogEntry`).
//!
//! Nothing is verified; what is not known is left out.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::checkpoint::slim;

/// An entry as it is answered. Only what is known goes into a bundle, which others have to be able to read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry2 {
    pub(crate) log_index: String,
    pub(crate) log_id: LogId,
    pub(crate) kind_version: KindVersion,
    pub(crate) inclusion_proof: Proof,
    pub(crate) canonicalized_body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogId {
    pub(crate) key_id: String,
}

#[derive(Deserialize)]
pub(crate) struct KindVersion {
    pub(crate) kind: String,
    pub(crate) version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proof {
    pub(crate) log_index: String,
    pub(crate) root_hash: String,
    pub(crate) tree_size: String,
    #[serde(default)]
    pub(crate) hashes: Vec<String>,
    pub(crate) checkpoint: Note,
}

#[derive(Deserialize)]
pub(crate) struct Note {
    pub(crate) envelope: String,
}

impl Entry2 {
    /// What is zero or empty is written: some verifiers demand it.
    pub(crate) fn to_protojson(&self) -> Value {
        let proof = &self.inclusion_proof;
        json!({
            "logIndex": self.log_index,
            "logId": { "keyId": self.log_id.key_id },
            "kindVersion": { "kind": self.kind_version.kind, "version": self.kind_version.version },
            "integratedTime": "0",
            "inclusionProof": {
                "logIndex": proof.log_index,
                "rootHash": proof.root_hash,
                "treeSize": proof.tree_size,
                "hashes": proof.hashes,
                "checkpoint": { "envelope": slim(&proof.checkpoint.envelope) },
            },
            "canonicalizedBody": self.canonicalized_body,
        })
    }
}
