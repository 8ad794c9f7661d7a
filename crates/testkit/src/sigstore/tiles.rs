//! Rekor v2: takes hashes, answers with a proof at a checkpoint, and shows its tiles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use tlog::{EntriesId, Hash, TileId, encode_entry, leaf_hash};

use super::fault::{Fault, Faults};
use super::keys::{ed25519, sha256, sign, spki};
use super::rekor::{proof, root, strangers};
use super::server::{Answer, Asked};

const NAME: &str = "rekor2.example";

pub(super) struct Tiles {
    faults: Arc<Faults>,
    key: KeyPair,
    foreign: KeyPair,
    bodies: Mutex<Vec<Vec<u8>>>,
}

impl Tiles {
    pub(super) fn new(faults: Arc<Faults>) -> Self {
        Self { faults, key: ed25519(), foreign: ed25519(), bodies: Mutex::default() }
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        spki(&self.key)
    }

    /// The untruncated key id of its notes.
    pub(super) fn log_id(&self) -> [u8; 32] {
        sha256(&[NAME.as_bytes(), &[0x0a, 0x01], self.key.der_bytes()].concat())
    }

    pub(super) fn size(&self) -> u64 {
        self.lock().len() as u64
    }

    pub(super) fn answer(&self, asked: &Asked) -> Option<Answer> {
        if self.faults.unavailable() {
            return Answer::new(503, "pushback")?.with("retry-after", "0");
        }
        match (asked.method.as_str(), asked.path.strip_prefix("/api/v2/")?) {
            ("POST", "log/entries") => self.create(&serde_json::from_slice(&asked.body).ok()?),
            ("GET", "checkpoint") => Answer::new(200, self.checkpoint()),
            ("GET", path) => match self.tile(path) {
                Some(bytes) => Answer::new(200, bytes),
                None => Answer::new(404, ""),
            },
            _ => Answer::new(405, ""),
        }
    }

    fn create(&self, proposed: &Value) -> Option<Answer> {
        if self.faults.has(Fault::Frozen) {
            return Answer::new(405, r#"{"code":12,"message":"log frozen"}"#);
        }
        let request = proposed.get("hashedRekordRequestV002")?;
        let verifier = request.pointer("/signature/verifier")?;
        let body = json!({ "apiVersion": "0.0.2", "kind": "hashedrekord", "spec": { "hashedRekordV002": {
            "data": { "algorithm": "SHA2_256", "digest": request.get("digest")? },
            "signature": {
                "content": request.pointer("/signature/content")?,
                "verifier": verifier,
            },
        }}});
        let body = body.to_string().into_bytes();
        let before = self.lock().iter().position(|logged| *logged == body);
        if let Some(place) = before {
            return Answer::new(409, r#"{"code":6,"message":"entry exists"}"#)?
                .with("x-log-index", &place.to_string());
        }
        let place = {
            let mut bodies = self.lock();
            bodies.push(body);
            bodies.len() - 1
        };
        if self.faults.take(Fault::LostAnswer) {
            return None;
        }
        Answer::new(201, self.entry(place).to_string())
    }

    fn entry(&self, place: usize) -> Value {
        let leaves = self.leaves();
        let hashes: Vec<String> =
            proof(place, &leaves).iter().map(|hash| STANDARD.encode(hash.as_bytes())).collect();
        let body = STANDARD.encode(&self.lock()[place]);
        let more = if self.faults.has(Fault::Verbose) { "x".repeat(100_000) } else { String::new() };
        json!({
            "nobodyAskedForThis": more,
            "logIndex": place.to_string(),
            "logId": { "keyId": STANDARD.encode(self.log_id()) },
            "kindVersion": { "kind": "hashedrekord", "version": "0.0.2" },
            "integratedTime": "0",
            "inclusionPromise": null,
            "inclusionProof": {
                "logIndex": place.to_string(),
                "rootHash": STANDARD.encode(root(&leaves).as_bytes()),
                "treeSize": leaves.len().to_string(),
                "hashes": hashes,
                "checkpoint": { "envelope": self.checkpoint() },
            },
            "canonicalizedBody": body,
        })
    }

    fn checkpoint(&self) -> String {
        let leaves = self.leaves();
        let name = if self.faults.has(Fault::OtherTree) { "other.example" } else { NAME };
        let text = format!("{name}\n{}\n{}\n", leaves.len(), STANDARD.encode(root(&leaves).as_bytes()));
        let key = if self.faults.has(Fault::ForeignCheckpoint) { &self.foreign } else { &self.key };
        let line = [&self.log_id()[..4], &sign(key, text.as_bytes())].concat();
        let more = if self.faults.has(Fault::Verbose) { strangers() } else { String::new() };
        format!("{text}\n{more}— {name} {}\n", STANDARD.encode(line))
    }

    fn tile(&self, path: &str) -> Option<Vec<u8>> {
        if path.starts_with("tile/entries/") {
            let id: EntriesId = path.parse().ok()?;
            let first = usize::try_from(id.index * 256).ok()?;
            let mut bundle = Vec::new();
            for body in self.lock().get(first..first + usize::from(id.width))? {
                encode_entry(&mut bundle, body).ok()?;
            }
            return Some(bundle);
        }
        let id: TileId = path.parse().ok()?;
        let leaves = self.leaves();
        let each = 1_usize << (8 * usize::from(id.level));
        let hashes = (0..usize::from(id.width)).map(|place| {
            let first = (usize::try_from(id.index).ok()? * 256 + place) * each;
            Some(root(leaves.get(first..first + each)?).as_bytes().to_vec())
        });
        Some(hashes.collect::<Option<Vec<_>>>()?.concat())
    }

    fn leaves(&self) -> Vec<Hash> {
        self.lock().iter().map(|body| leaf_hash(body)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
