//! Rekor v1: what it takes, how it stores it, what it signs, and its index, which is open to everybody.
//!
//! Like the real one it checks signatures before it logs them, and keeps a hash of a `dsse` payload only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use serde_json::{Map, Value, json};
use tlog::{Hash, leaf_hash, node_hash, prove_consistency, prove_inclusion};

use super::IDENTITY;
use super::authority::Authority;
use super::fault::{Fault, Faults};
use super::keys::{Point, from_pem, hex, p256, pem, sha256, sign, spki};
use super::server::{Answer, Asked};
use crate::Clock;

const TREE: u64 = 1_193_050_959_916_656_506;
const OTHER_TREE: u64 = 2_605_736_670_972_794_746;

/// One tree of one log.
pub struct Rekor {
    clock: Clock,
    faults: Arc<Faults>,
    authority: Arc<Authority>,
    key: KeyPair,
    foreign: KeyPair,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Logged>,
    index: Vec<Row>,
    /// Not in the index yet, and how many searches do not find it.
    later: Vec<(u32, Row)>,
    delay: u32,
    withheld: Vec<String>,
    attestations: HashMap<usize, Vec<u8>>,
}

/// Of the index: what is looked for, who signed, and which entry it is.
type Row = (String, String, usize);

struct Logged {
    body: Vec<u8>,
    time: i64,
}

impl Rekor {
    pub(super) fn new(clock: Clock, faults: Arc<Faults>, authority: Arc<Authority>) -> Self {
        Self { clock, faults, authority, key: p256(), foreign: p256(), state: Mutex::default() }
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        spki(&self.key)
    }

    pub(super) fn log_id(&self) -> [u8; 32] {
        sha256(&self.spki())
    }

    /// Entries so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().entries.len()
    }

    /// Ids of all entries, the oldest first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let state = self.lock();
        state.entries.iter().map(|entry| id(&entry.body)).collect()
    }

    /// From here on the index is late: so many searches do not find what is logged before them.
    pub fn delay(&self, searches: u32) {
        self.lock().delay = searches;
    }

    /// The index has everything that was logged so far.
    pub fn catch_up(&self) {
        let mut state = self.lock();
        let later = std::mem::take(&mut state.later);
        state.index.extend(later.into_iter().map(|(_, row)| row));
    }

    /// From here on the index alone has this entry.
    pub fn withhold(&self, id: &str) {
        self.lock().withheld.push(id.to_owned());
    }

    /// As the original program logged it: `intoto` 0.0.1, with the statement as an attestation.
    pub fn original(&self, reference: &str, digest: &str, email: &str) {
        self.original_of("tlogistry-fetched", reference, digest, email);
    }

    /// The same with another type of predicate.
    pub fn original_of(&self, predicate: &str, reference: &str, digest: &str, email: &str) {
        let key = p256();
        let certificate = self.authority.certificate(&Point::find(&spki(&key)).expect("a key"), email);
        let payload = json!({
            "_type": "intoto",
            "predicateType": predicate,
            "subject": [{ "name": reference, "digest": { "sha256": hex(&sha256(reference.as_bytes())) } }],
            "predicate": { "tag": reference, "digest": digest },
        })
        .to_string();
        let body = json!({ "apiVersion": "0.0.1", "kind": "intoto", "spec": {
            "content": {
                "hash": { "algorithm": "sha256", "value": hex(&sha256(b"an envelope")) },
                "payloadHash": { "algorithm": "sha256", "value": hex(&sha256(payload.as_bytes())) },
            },
            "publicKey": STANDARD.encode(pem("CERTIFICATE", &certificate)),
        }});
        self.append(
            body.to_string().into_bytes(),
            &reference_key(reference),
            email,
            Some(payload.into_bytes()),
        );
    }

    /// So many entries of strangers under this reference: garbage, and one that names us in a certificate of its own making.
    pub fn flood(&self, reference: &str, count: usize) {
        if count > 0 {
            self.append(self.forged(), &reference_key(reference), "", None);
        }
        for number in 1..count {
            let body = json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
                "envelopeHash": number, "payloadHash": { "value": ["garbage"] }, "signatures": [{}],
            }});
            self.append(body.to_string().into_bytes(), &reference_key(reference), "", None);
        }
    }

    /// A signature over who knows what, which holds; the certificate is of an authority that nobody believes.
    fn forged(&self) -> Vec<u8> {
        let key = p256();
        let point = Point::find(&spki(&key)).expect("a key");
        self.faults.add(Fault::OtherChain);
        let certificate = self.authority.certificate(&point, IDENTITY);
        self.faults.take(Fault::OtherChain);
        let payload = b"what nobody can read";
        let body = json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": { "algorithm": "sha256", "value": hex(&sha256(b"an envelope")) },
            "payloadHash": { "algorithm": "sha256", "value": hex(&sha256(payload)) },
            "signatures": [{
                "signature": STANDARD.encode(sign(&key, &pae(payload))),
                "verifier": STANDARD.encode(pem("CERTIFICATE", &certificate)),
            }],
        }});
        body.to_string().into_bytes()
    }

    pub(super) fn answer(&self, asked: &Asked) -> Option<Answer> {
        if self.faults.unavailable() {
            return Answer::new(503, r#"{"code":503,"message":"busy"}"#)?.with("retry-after", "0");
        }
        if self.faults.has(Fault::Oversized) {
            return Answer::new(200, vec![b' '; 2 << 20]);
        }
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/api/v1/log/entries") => self.create(&serde_json::from_slice(&asked.body).ok()?),
            ("POST", "/api/v1/log/entries/retrieve") => {
                self.retrieve(&serde_json::from_slice(&asked.body).ok()?)
            }
            ("POST", "/api/v1/index/retrieve") => self.search(&serde_json::from_slice(&asked.body).ok()?),
            ("GET", "/api/v1/log/proof") => self.consistency(&asked.query),
            ("GET", path) => {
                let id = path.strip_prefix("/api/v1/log/entries/")?;
                match self.place(id) {
                    Some(place) => Answer::new(200, Value::Object(self.entry(place)).to_string()),
                    None => Answer::new(404, r#"{"code":404,"message":"entry not found"}"#),
                }
            }
            _ => Answer::new(404, ""),
        }
    }

    fn create(&self, proposed: &Value) -> Option<Answer> {
        let refused = |why: &str| Answer::new(400, json!({ "code": 400, "message": why }).to_string());
        let Some(Accepted { body, payload, name, attested }) = self.accept(proposed) else {
            return refused("it is not signed, or of a kind that is not taken");
        };
        if let Some(place) = self.place(&id(&body)) {
            let id = id(&self.lock().entries[place].body);
            let message =
                format!("an equivalent entry already exists in the transparency log with UUID {id}");
            let body = json!({ "code": 409, "message": message }).to_string();
            return Answer::new(409, body)?.with("location", &format!("/api/v1/log/entries/{id}"));
        }
        let subjects: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let place = self.append(body, "", "", attested.then(|| payload.clone()));
        for subject in subjects["subject"].as_array().into_iter().flatten() {
            let hash = format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap_or_default());
            self.lock().list((hash, name.clone(), place));
        }
        if self.faults.take(Fault::LostAnswer) {
            return None;
        }
        Answer::new(201, Value::Object(self.entry(place)).to_string())
    }

    /// The stored body of what is taken (`pkg/types/*/v*/entry.go`), after its signature was checked.
    fn accept(&self, proposed: &Value) -> Option<Accepted> {
        let spec = proposed.get("spec")?;
        let sha = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(&sha256(bytes)) });
        match (proposed.get("kind")?.as_str()?, proposed.get("apiVersion")?.as_str()?) {
            ("dsse", "0.0.1") => {
                let content = spec.get("proposedContent")?;
                let text = content.get("envelope")?.as_str()?;
                let envelope: Value = serde_json::from_str(text).ok()?;
                let payload = STANDARD.decode(envelope.get("payload")?.as_str()?).ok()?;
                let signature = envelope.pointer("/signatures/0/sig")?.as_str()?;
                let verifier = content.pointer("/verifiers/0")?.as_str()?;
                let name = self.check(verifier, &payload, &STANDARD.decode(signature).ok()?)?;
                let body = json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
                    "envelopeHash": sha(text.as_bytes()),
                    "payloadHash": sha(&payload),
                    "signatures": [{ "signature": signature, "verifier": verifier }],
                }});
                Some(Accepted { body: body.to_string().into_bytes(), payload, name, attested: false })
            }
            ("intoto", "0.0.2") => {
                let envelope = spec.pointer("/content/envelope")?;
                let twice = |text: &str| STANDARD.decode(STANDARD.decode(text).ok()?).ok();
                let payload = twice(envelope.get("payload")?.as_str()?)?;
                let signature = envelope.pointer("/signatures/0/sig")?.as_str()?;
                let verifier = envelope.pointer("/signatures/0/publicKey")?.as_str()?;
                let name = self.check(verifier, &payload, &twice(signature)?)?;
                let body = json!({ "apiVersion": "0.0.2", "kind": "intoto", "spec": { "content": {
                    "envelope": {
                        "payloadType": envelope.get("payloadType")?,
                        "signatures": [{ "publicKey": verifier, "sig": signature }],
                    },
                    "hash": spec.pointer("/content/hash")?,
                    "payloadHash": sha(&payload),
                }}});
                Some(Accepted { body: body.to_string().into_bytes(), payload, name, attested: true })
            }
            _ => None,
        }
    }

    fn check(&self, verifier: &str, payload: &[u8], signature: &[u8]) -> Option<String> {
        let pem = String::from_utf8(STANDARD.decode(verifier).ok()?).ok()?;
        let der = from_pem(&pem)?;
        Point::find(&der)?.verifies(&pae(payload), signature).then(|| self.authority.name_in(&der))
    }

    fn append(&self, body: Vec<u8>, key: &str, name: &str, attestation: Option<Vec<u8>>) -> usize {
        let mut state = self.lock();
        let place = state.entries.len();
        state.entries.push(Logged { body, time: self.clock.now() });
        if !key.is_empty() {
            state.list((key.to_owned(), name.to_owned(), place));
        }
        if let Some(attestation) = attestation {
            state.attestations.insert(place, attestation);
        }
        place
    }

    fn search(&self, question: &Value) -> Option<Answer> {
        if self.faults.has(Fault::NoIndex) {
            return Answer::new(
                501,
                r#"{"code":501,"message":"Search Index API not enabled in this Rekor instance"}"#,
            );
        }
        if self.faults.has(Fault::IndexAlone) && question.get("operator").is_some() {
            return Answer::new(422, r#"{"code":422,"message":"operator in body is a forbidden property"}"#);
        }
        let hash = question.get("hash")?.as_str()?;
        let who = question.get("email").or(question.get("subject")).and_then(Value::as_str);
        let mut state = self.lock();
        let lies = self.faults.has(Fault::IndexLies);
        let mut found: Vec<String> = state
            .index
            .iter()
            // Entries of strangers have no name here, and are found by whoever asks.
            .filter(|(key, name, _)| {
                lies || (key == hash && who.is_none_or(|who| name.is_empty() || who == name))
            })
            .map(|(.., place)| id(&state.entries[*place].body))
            .collect();
        found.sort();
        found.dedup();
        state.searched();
        if self.faults.has(Fault::IndexLoses) {
            found.clear();
        }
        Answer::new(200, json!(found).to_string())
    }

    fn retrieve(&self, question: &Value) -> Option<Answer> {
        let mut entries = Vec::new();
        for asked in question.get("entryUUIDs").and_then(Value::as_array).into_iter().flatten() {
            let asked = asked.as_str()?;
            let withheld = self.lock().withheld.iter().any(|id| id == asked);
            if let Some(place) = self.place(asked).filter(|_| !withheld) {
                entries.push(Value::Object(self.entry(place)));
            }
        }
        for proposed in question.get("entries").and_then(Value::as_array).into_iter().flatten() {
            if let Some(place) = self.accept(proposed).and_then(|accepted| self.place(&id(&accepted.body))) {
                entries.push(Value::Object(self.entry(place)));
            }
        }
        Answer::new(200, Value::Array(entries).to_string())
    }

    fn consistency(&self, query: &str) -> Option<Answer> {
        let size = |name: &str| -> Option<usize> {
            query.split('&').find_map(|pair| pair.strip_prefix(name))?.parse().ok()
        };
        let (first, last) = (size("firstSize=")?, size("lastSize=")?);
        if !query.ends_with(&format!("treeID={TREE}")) || first == 0 || first > last || last > self.size() {
            return Answer::new(400, r#"{"code":400,"message":"firstSize, lastSize or treeID"}"#);
        }
        let leaves = self.leaves(&self.lock());
        let hashes = prove_consistency(first as u64, last as u64, &mut |node| {
            let first = usize::try_from(node.index << node.level).expect("a small tree");
            Ok::<_, tlog::Error>(root(&leaves[first..first + (1 << node.level)]))
        });
        let hashes: Vec<String> = hashes.ok()?.iter().map(|hash| hex(hash.as_bytes())).collect();
        let root = hex(root(&leaves[..last]).as_bytes());
        Answer::new(200, json!({ "rootHash": root, "hashes": hashes }).to_string())
    }

    fn leaves(&self, state: &State) -> Vec<Hash> {
        let mut leaves: Vec<Hash> = state.entries.iter().map(|entry| leaf_hash(&entry.body)).collect();
        if self.faults.has(Fault::Forked) {
            leaves[0] = leaf_hash(b"another first entry");
        }
        leaves
    }

    fn place(&self, asked: &str) -> Option<usize> {
        let place = self.lock().entries.iter().position(|entry| id(&entry.body).ends_with(asked))?;
        let other = self.faults.has(Fault::OtherEntry);
        Some(if other { usize::from(place == 0 && self.size() > 1) } else { place })
    }

    /// `{"<id>": {…}}`
    fn entry(&self, place: usize) -> Map<String, Value> {
        let has = |fault| self.faults.has(fault);
        let state = self.lock();
        let logged = &state.entries[place];
        let encoded = STANDARD.encode(&logged.body);
        let signed = json!({
            "body": encoded,
            "integratedTime": logged.time,
            "logID": hex(&self.log_id()),
            "logIndex": place + 100,
        });
        let set = sign(
            if has(Fault::ForeignSet) { &self.foreign } else { &self.key },
            signed.to_string().as_bytes(),
        );
        let leaves = self.leaves(&state);
        let size = leaves.len();
        let mut hashes: Vec<String> = proof(place, &leaves).iter().map(|hash| hex(hash.as_bytes())).collect();
        if has(Fault::WrongProof) {
            hashes.push(hex(&[7; 32]));
        }
        let root = root(&leaves);
        let tree = if has(Fault::OtherTree) { OTHER_TREE } else { TREE };
        let text = format!("rekor.example - {tree}\n{size}\n{}\n", STANDARD.encode(root.as_bytes()));
        let key = if has(Fault::ForeignCheckpoint) { &self.foreign } else { &self.key };
        let line = [&self.log_id()[..4], &sign(key, text.as_bytes())].concat();
        let more = if has(Fault::Verbose) { strangers() } else { String::new() };
        let mut entry = json!({
            "body": encoded,
            "integratedTime": logged.time + i64::from(has(Fault::OtherTime)),
            "logID": hex(&self.log_id()),
            "logIndex": place + 100,
            "verification": {
                "signedEntryTimestamp": STANDARD.encode(set),
                "inclusionProof": {
                    "logIndex": place,
                    "rootHash": hex(root.as_bytes()),
                    "treeSize": size,
                    "hashes": hashes,
                    "checkpoint": format!("{text}\n{more}— rekor.example {}\n", STANDARD.encode(line)),
                },
            },
        });
        if has(Fault::Verbose) {
            entry["nobodyAskedForThis"] = json!("x".repeat(100_000));
        }
        if has(Fault::AlteredBody) {
            entry["body"] = json!(STANDARD.encode([&logged.body[..], b" "].concat()));
        }
        if let Some(attestation) = state.attestations.get(&place).filter(|_| !has(Fault::NoAttestation)) {
            let data =
                if has(Fault::SwappedAttestation) { swapped(attestation) } else { attestation.clone() };
            entry["attestation"] = json!({ "data": STANDARD.encode(data) });
        }
        Map::from_iter([(id(&logged.body), entry)])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn list(&mut self, row: Row) {
        match self.delay {
            0 => self.index.push(row),
            delay => self.later.push((delay, row)),
        }
    }

    /// One search less until what is late is there.
    fn searched(&mut self) {
        for (left, row) in std::mem::take(&mut self.later) {
            match left {
                1 => self.index.push(row),
                more => self.later.push((more - 1, row)),
            }
        }
    }
}

struct Accepted {
    body: Vec<u8>,
    payload: Vec<u8>,
    name: String,
    attested: bool,
}

/// What a DSSE signature is over.
fn pae(payload: &[u8]) -> Vec<u8> {
    let kind = "application/vnd.in-toto+json";
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The same statement of another digest, as well formed as the one that was logged.
fn swapped(attestation: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(attestation);
    let statement: Value = serde_json::from_slice(attestation).unwrap_or_default();
    let digest = statement["predicate"]["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    text.replace(digest.expect("a statement of ours"), &hex(&sha256(b"another manifest"))).into_bytes()
}

fn reference_key(reference: &str) -> String {
    format!("sha256:{}", hex(&sha256(reference.as_bytes())))
}

fn id(body: &[u8]) -> String {
    format!("{TREE:016x}{}", hex(leaf_hash(body).as_bytes()))
}

/// Thousands of signatures under a checkpoint.
pub(super) fn strangers() -> String {
    "— stranger.example AAAAAAAAAAAA\n".repeat(5_000)
}

/// The root of all leaves (RFC 6962 §2.1).
pub(super) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(b""),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

pub(super) fn proof(place: usize, leaves: &[Hash]) -> Vec<Hash> {
    let (index, size) = (place as u64, leaves.len() as u64);
    prove_inclusion(index, size, &mut |node| {
        let first = usize::try_from(node.index << node.level).expect("a small tree");
        Ok::<_, tlog::Error>(root(&leaves[first..first + (1 << node.level)]))
    })
    .expect("an entry of the tree")
}
