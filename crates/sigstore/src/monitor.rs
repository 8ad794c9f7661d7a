//! Reads whole Rekor v2 logs for entries of one identity: whoever signs as us is found, and what we did not publish with it.
//!
//! Every leaf is hashed into the tree, so that what is read is what the log's signed checkpoint commits to, and continues
//! what was read before. Resumable: the state is small and written by the caller.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sigstore_crypto::{Checkpoint, VerificationKey};
use sigstore_trust_root::{TransparencyLog, TrustedRoot};
use tlog::{Frontier, Hash};

use crate::certificate::genuine;
use crate::entry::{hash, unhex};
use crate::error::{Check, Error, Service};
use crate::identity::Subject;
use crate::rekor2::{BUNDLE, Rekor2, logs_of};
use crate::statement::hex;
use crate::verify::Expected;

/// How far each log was read, by its id in hexadecimal: its name may be another's before or after it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Each log.
    pub logs: BTreeMap<String, Progress>,
}

/// How far one log was read.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// What a checkpoint that the log signed was found to be of.
    pub proven: Part,
    /// Read beyond that, and not held against a checkpoint yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beyond: Option<Part>,
}

/// The beginning of a log.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Entries.
    pub size: u64,
    /// Roots of the perfect trees that they make, in hexadecimal.
    pub frontier: Vec<String>,
}

/// An entry that an identity signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// The log's own name.
    pub log: String,
    /// Of the log.
    pub index: u64,
    /// SHA-256 of what was signed, in hexadecimal: of a statement's [`pae_hash`](crate::Statement::pae_hash).
    pub hash: String,
}

/// Reads on in one log from `state` up to its newest checkpoint, and gives its name; `found` gets each entry of `signers`,
/// and `progress` how many of how many entries are read. What was read before an error is in `state`.
pub(crate) async fn walk(
    rekor: &Rekor2<'_>,
    signers: &[Expected<'_>],
    state: &mut State,
    mut found: impl FnMut(Signed),
    mut progress: impl FnMut(u64, u64),
) -> Result<String, Error> {
    let text = rekor.checkpoint().await?;
    let wrong = |why: &str| Error::failed(Check::Origin, &why);
    let checkpoint = Checkpoint::from_text(&text).map_err(|_why| wrong("its checkpoint is none"))?;
    let mut logs = logs_of(rekor.root, checkpoint.origin()).peekable();
    if logs.peek().is_none() {
        return Err(wrong("its log is not one that is believed"));
    }
    let log = logs
        .find(|log| is_signed_by(&checkpoint, log))
        .ok_or_else(|| wrong("its checkpoint is not signed by its log"))?;
    let (name, size) = (checkpoint.origin().to_owned(), checkpoint.tree_size());
    let place = state.logs.entry(hex(log.log_id.key_id.as_bytes())).or_default();
    if size < place.proven.size {
        return Err(wrong("the log is shorter than it was"));
    }
    let part = place.beyond.as_ref().filter(|part| part.size <= size).unwrap_or(&place.proven);
    let (mut frontier, mut at) = (frontier(part)?, part.size);
    while at < size {
        let first = at - at % BUNDLE;
        for body in rekor.bodies(first, size).await?.iter().skip(usize::try_from(at - first).unwrap_or(0)) {
            frontier.push(tlog::leaf_hash(body));
            if let Some(hash) = signed_by(body, rekor.root, signers) {
                found(Signed { log: name.clone(), index: at, hash });
            }
            at += 1;
        }
        place.beyond = Some(part_of(at, &frontier));
        progress(at, size);
    }
    place.beyond = None;
    if frontier.root().as_bytes() != checkpoint.root_hash().as_bytes() {
        return Err(Error::Answer {
            service: Service::Rekor,
            url: rekor.base.to_string(),
            why: "its entries do not make the tree that its checkpoint is of".to_owned(),
        });
    }
    place.proven = part_of(size, &frontier);
    Ok(name)
}

fn is_signed_by(checkpoint: &Checkpoint, log: &TransparencyLog) -> bool {
    let Ok(key) = VerificationKey::from_spki(&log.public_key.raw_bytes) else { return false };
    checkpoint.signatures().iter().any(|line| key.verify(checkpoint.signed_data(), &line.signature).is_ok())
}

fn part_of(size: u64, frontier: &Frontier) -> Part {
    Part { size, frontier: frontier.hashes().iter().map(|hash| hex(hash.as_bytes())).collect() }
}

fn frontier(part: &Part) -> Result<Frontier, Error> {
    let wrong = || Error::failed(Check::Shape, &"the state of the monitor is damaged; begin anew without it");
    let hashes: Option<Vec<Hash>> =
        part.frontier.iter().map(|text| unhex(text).and_then(|bytes| hash(&bytes))).collect();
    Frontier::from_parts(part.size, hashes.ok_or_else(wrong)?).map_err(|_why| wrong())
}

/// The hash that this entry's signature is over, if it is of this identity. Anybody can make a certificate with our name in
/// it, and a log of v2 gives no time: what counts is one that was issued to us at its beginning.
fn signed_by(body: &[u8], root: &TrustedRoot, signers: &[Expected<'_>]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    // The second kind is of servers before v2.3.0; we never logged any, and cosign believes them.
    let (signatures, digest) = match body.pointer("/spec/hashedRekordV002") {
        Some(spec) => (vec![spec.get("signature")?], spec.pointer("/data/digest")),
        None => {
            let spec = body.pointer("/spec/dsseV002")?;
            (spec.get("signatures")?.as_array()?.iter().collect(), spec.pointer("/payloadHash/digest"))
        }
    };
    let raw = |value: Option<&Value>| STANDARD.decode(value.and_then(Value::as_str)?).ok();
    let is_ours = signatures.into_iter().any(|signature| {
        let key = raw(signature.pointer("/verifier/publicKey/rawBytes"));
        let certificate = raw(signature.pointer("/verifier/x509Certificate/rawBytes"));
        signers.iter().any(|signer| match (&signer.identity.subject, &certificate) {
            (Subject::Key(_), _) => signer.key.is_some() && signer.key == key.as_deref(),
            (_, Some(der)) => genuine(root, der, signer.identity).is_ok(),
            (_, None) => false,
        })
    });
    if !is_ours {
        return None;
    }
    Some(hex(&raw(digest)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn an_entry_of_either_kind_is_found_by_its_key() {
        let root = TrustedRoot::from_json(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
        let identity = Identity { subject: Subject::Key(String::new()), issuer: String::new() };
        let other = serde_json::json!({ "content": "AAAA", "verifier": {} });
        let ours = [Expected { identity: &identity, key: Some(b"ours") }];
        let signed =
            serde_json::json!({ "content": "AAAA", "verifier": { "publicKey": { "rawBytes": "b3Vycw==" } } });
        for spec in [
            serde_json::json!({ "hashedRekordV002": { "data": { "digest": "AQI=" }, "signature": signed } }),
            serde_json::json!({ "dsseV002": { "payloadHash": { "digest": "AQI=" }, "signatures": [other, signed] } }),
        ] {
            let body = serde_json::json!({ "spec": spec }).to_string();
            assert_eq!(signed_by(body.as_bytes(), &root, &ours).as_deref(), Some("0102"));
            let foreign = body.replace("b3Vycw==", "dGhlaXJz");
            assert_eq!(signed_by(foreign.as_bytes(), &root, &ours), None);
        }
    }
}
