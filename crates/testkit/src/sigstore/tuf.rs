//! A TUF repository that has the trust root and the signing configuration as its targets: one key for all roles, consistent
//! snapshots, each version good for a week. Knows nothing of what the targets say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::KeyPair;
use serde_json::{Value, json};

use super::fault::{Fault, Faults};
use super::keys::{ed25519, hex, sha256, sign, spki};
use super::server::{Answer, Asked};
use crate::Clock;

/// Seconds for which metadata are good; the root is for a year.
const WEEK: i64 = 7 * 86_400;
const YEAR: i64 = 365 * 86_400;

pub(super) struct Tuf {
    clock: Clock,
    faults: Arc<Faults>,
    key: KeyPair,
    foreign: KeyPair,
    root: Vec<u8>,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    version: u64,
    files: BTreeMap<String, Vec<u8>>,
}

impl Tuf {
    pub(super) fn new(clock: Clock, faults: Arc<Faults>) -> Self {
        let key = ed25519();
        let role = json!({ "keyids": [id(&key)], "threshold": 1 });
        let roles = json!({ "root": role, "timestamp": role, "snapshot": role, "targets": role });
        let public =
            json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public(&key) } });
        let mut root = json!({ "consistent_snapshot": true, "keys": { (id(&key)): public }, "roles": roles });
        head(&mut root, "root", 1, &clock.rfc3339(YEAR));
        let root = signed(&root, &key, &key);
        Self { clock, faults, key, foreign: ed25519(), root, shown: Mutex::default() }
    }

    /// Where trust begins.
    pub(super) fn root(&self) -> &[u8] {
        &self.root
    }

    /// From here on there is a new version of everything, with these targets.
    pub(super) fn publish(&self, targets: &[(&str, Vec<u8>)]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.version += 1;
        let version = shown.version;
        let mut listed = serde_json::Map::new();
        for (name, content) in targets {
            let hash = hex(&sha256(content));
            listed
                .insert((*name).to_owned(), json!({ "length": content.len(), "hashes": { "sha256": hash } }));
            shown.files.insert(format!("/targets/{hash}.{name}"), content.clone());
        }
        let expires = self.clock.rfc3339(WEEK);
        let by = if self.faults.has(Fault::ForeignTrust) { &self.foreign } else { &self.key };
        let metadata = |mut content: Value, role: &str| {
            head(&mut content, role, version, &expires);
            signed(&content, by, &self.key)
        };
        let targets = metadata(json!({ "targets": listed }), "targets");
        let snapshot = metadata(json!({ "meta": { "targets.json": { "version": version } } }), "snapshot");
        let timestamp = metadata(json!({ "meta": { "snapshot.json": { "version": version } } }), "timestamp");
        shown.files.insert(format!("/{version}.targets.json"), targets);
        shown.files.insert(format!("/{version}.snapshot.json"), snapshot);
        shown.files.insert("/timestamp.json".to_owned(), timestamp);
    }

    pub(super) fn answer(&self, asked: &Asked) -> Option<Answer> {
        if self.faults.has(Fault::NoTrust) {
            return Answer::new(503, "");
        }
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match shown.files.get(&asked.path) {
            Some(file) => Answer::new(200, file.clone()),
            None => Answer::new(404, ""),
        }
    }
}

fn head(content: &mut Value, role: &str, version: u64, expires: &str) {
    content["_type"] = json!(role);
    content["spec_version"] = json!("1.0.31");
    content["version"] = json!(version);
    content["expires"] = json!(expires);
}

/// What is signed is the canonical form, which this is: keys in order, no spaces, and nothing that would be escaped.
fn signed(content: &Value, by: &KeyPair, named: &KeyPair) -> Vec<u8> {
    let signature = hex(&sign(by, content.to_string().as_bytes()));
    let signatures = json!([{ "keyid": id(named), "sig": signature }]);
    json!({ "signed": content, "signatures": signatures }).to_string().into_bytes()
}

/// The raw key, which ends its SubjectPublicKeyInfo.
fn public(key: &KeyPair) -> String {
    let spki = spki(key);
    hex(&spki[spki.len() - 32..])
}

fn id(key: &KeyPair) -> String {
    hex(&sha256(public(key).as_bytes()))
}
