//! Rekor v1: logging an envelope (`dsse` 0.0.1, and `intoto` 0.0.2 beside it), and finding what is logged.
//!
//! What comes back is parsed, and believed by nobody yet.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::TrustedRoot;
use tlog::Hash;
use url::Url;

use crate::entry::{LogEntry, hash, unhex};
use crate::error::{Error, Service};
use crate::evidence::{logged, payload_hash};
use crate::http::{Answer, Http, refusal};
use crate::identity::{Identity, Subject};
use crate::prepared::{Prepared, pem};
use crate::statement::{PAYLOAD_TYPE, hex, reference_hash};

/// Entries that the API gives at once.
pub(crate) const BATCH: usize = 10;
/// Bytes of such an answer, and of one with a single entry: those of ours are some 10 kB, and at most 150.
const MAX_ENTRIES: usize = 1024 * 1024;
const MAX_ENTRY: usize = 256 * 1024;
/// Times that is asked again for what one of its servers may not have yet, and the pause before the first.
const READS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of one id in an answer of the index, and of an answer without any.
const ID: usize = 96;
const MAX_EMPTY: usize = 64 * 1024;

/// One Rekor.
pub(crate) struct Rekor1<'a> {
    pub(crate) http: &'a Http,
    pub(crate) base: &'a Url,
    pub(crate) timeout: Duration,
}

#[derive(Deserialize)]
struct Consistency {
    hashes: Vec<String>,
}

/// What an index says.
pub(crate) enum Found {
    /// Ids of entries, in no order; more may exist.
    Ids(Vec<String>),
    /// There is no index.
    NoIndex,
}

impl Rekor1<'_> {
    /// Logs the envelope; where it is logged already, gives that entry.
    pub(crate) async fn log(&self, prepared: &Prepared) -> Result<LogEntry, Error> {
        self.create(&proposed(prepared)).await
    }

    /// Has the log keep the payload as well, which the other kind of entry does not, and finds it there. What is wrong with
    /// this entry is nothing that signing anew could mend.
    pub(crate) async fn keep_payload(&self, root: &TrustedRoot, prepared: &Prepared) -> Result<(), Error> {
        let mut entry = self.create(&with_payload(prepared)).await?;
        let url = self.url(&format!("api/v1/log/entries/{}", entry.id));
        logged(root, &entry).map_err(|error| nonsense(&url, &error))?;
        if payload_hash(&entry) != Some(hex(&Sha256::digest(&prepared.payload)).as_str()) {
            return Err(nonsense(&url, &"it is of another statement"));
        }
        let mut pause = PAUSE;
        for _ in 0..READS {
            if entry.attestation.as_ref() == Some(&prepared.payload) {
                return Ok(());
            }
            // It is written after the answer, and what goes wrong with it is told to nobody.
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            entry = self.get(&entry.id).await?;
        }
        if entry.attestation.as_ref() == Some(&prepared.payload) {
            return Ok(());
        }
        Err(Error::Service {
            service: Service::Rekor,
            url,
            why: "it does not give back the statement that it was asked to keep (`store_attestation`)"
                .to_owned(),
            status: None,
            retry_after: None,
        })
    }

    /// The entry of this envelope, if the active tree has it.
    pub(crate) async fn find(&self, prepared: &Prepared) -> Result<Option<LogEntry>, Error> {
        let entries = self.retrieve(MAX_ENTRIES, &json!({ "entries": [proposed(prepared)] })).await?;
        Ok(entries.into_iter().next())
    }

    async fn create(&self, proposed: &Value) -> Result<LogEntry, Error> {
        let url = self.url("api/v1/log/entries");
        let answer = self.post(MAX_ENTRIES, &url, proposed).await?;
        match answer.status {
            200 | 201 => one(&self.entries(&url, &answer)?, None, &url),
            // Logged before: an answer of ours was lost, or somebody sent the very same.
            409 => {
                let id = existing(&answer).ok_or_else(|| refusal(Service::Rekor, &url, &answer))?;
                self.get(&id).await
            }
            _ => Err(refusal(Service::Rekor, &url, &answer)),
        }
    }

    async fn get(&self, id: &str) -> Result<LogEntry, Error> {
        let url = self.url(&format!("api/v1/log/entries/{id}"));
        let answer = self
            .http
            .send(Service::Rekor, &url, self.timeout, |client| {
                client.get(&url).header("Accept", "application/json")
            })
            .await?;
        if answer.status != 200 {
            return Err(refusal(Service::Rekor, &url, &answer));
        }
        one(&self.entries(&url, &answer)?, Some(id), &url)
    }

    /// Ids that the index has of this reference and signer; [`Error::TooLarge`] if they are many more than `most`.
    pub(crate) async fn search(
        &self,
        reference: &str,
        identity: &Identity,
        key: Option<&[u8]>,
        most: usize,
    ) -> Result<Found, Error> {
        let url = self.url("api/v1/index/retrieve");
        let hash = format!("sha256:{}", reference_hash(reference));
        let mut question = json!({ "hash": hash, "operator": "and" });
        let who = match (&identity.subject, key) {
            (Subject::Email(email), _) => Some(("email", json!(email))),
            (Subject::Uri(uri), _) => Some(("subject", json!(uri))),
            (Subject::Key(_), Some(spki)) => {
                let content = STANDARD.encode(pem("PUBLIC KEY", spki));
                Some(("publicKey", json!({ "format": "x509", "content": content })))
            }
            (Subject::Key(_), None) => None,
        };
        if let (Some(question), Some((field, value))) = (question.as_object_mut(), who) {
            question.insert(field.to_owned(), value);
        }
        let limit = MAX_EMPTY.saturating_add(most.saturating_mul(ID));
        let mut answer = self.post(limit, &url, &question).await?;
        // A server that does not know all of this is asked for everything under the reference.
        if matches!(answer.status, 400 | 422) {
            answer = self.post(limit, &url, &json!({ "hash": hash })).await?;
        }
        match answer.status {
            200 => {
                let ids: Vec<String> =
                    serde_json::from_slice(&answer.body).map_err(|error| nonsense(&url, &error))?;
                if ids.iter().any(|id| !is_id(id)) {
                    return Err(nonsense(&url, &"the index gives what is no id"));
                }
                Ok(Found::Ids(ids))
            }
            501 => Ok(Found::NoIndex),
            _ => Err(refusal(Service::Rekor, &url, &answer)),
        }
    }

    /// Entries by their ids, at most [`BATCH`] of them; each has to be one that was asked for. Those that are larger than any
    /// of ours are left out: anybody can log such entries. (A `dsse` entry of ours cannot be made large by what is beside the
    /// log: nothing is.)
    pub(crate) async fn entries_by_id(&self, ids: &[String]) -> Result<Vec<LogEntry>, Error> {
        match self.of_ids(MAX_ENTRIES, ids).await {
            Err(Error::TooLarge { .. }) => {}
            outcome => return outcome,
        }
        let mut entries = Vec::new();
        for id in ids {
            match self.of_ids(MAX_ENTRY, std::slice::from_ref(id)).await {
                Ok(entry) => entries.extend(entry),
                Err(Error::TooLarge { .. }) => tracing::debug!(%id, "an entry is larger than any of ours"),
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    async fn of_ids(&self, limit: usize, ids: &[String]) -> Result<Vec<LogEntry>, Error> {
        let entries = self.retrieve(limit, &json!({ "entryUUIDs": ids })).await?;
        let url = self.url("api/v1/log/entries/retrieve");
        for id in ids {
            if !entries.iter().any(|entry| is_of(id, &entry.id)) {
                return Err(nonsense(&url, &format!("the entry `{id}` that its index names is not in it")));
            }
        }
        if entries.iter().any(|entry| !ids.iter().any(|id| is_of(id, &entry.id))) {
            return Err(nonsense(&url, &"an entry in it was not asked for"));
        }
        Ok(entries)
    }

    /// The hashes that lead from a tree as it was to what it is (RFC 6962 §2.1.2).
    pub(crate) async fn consistency(&self, first: u64, last: u64, tree: &str) -> Result<Vec<Hash>, Error> {
        let path = format!("api/v1/log/proof?firstSize={first}&lastSize={last}&treeID={tree}");
        let url = self.url(&path);
        let ask = || self.http.send(Service::Rekor, &url, self.timeout, |client| client.get(&url));
        let (mut answer, mut pause) = (ask().await?, PAUSE);
        for _ in 0..READS {
            // Of its servers another one may not have the newer tree yet.
            if answer.status != 400 {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            answer = ask().await?;
        }
        if answer.status != 200 {
            return Err(refusal(Service::Rekor, &url, &answer));
        }
        let proof: Consistency =
            serde_json::from_slice(&answer.body).map_err(|error| nonsense(&url, &error))?;
        let hashes: Option<Vec<Hash>> =
            proof.hashes.iter().map(|text| unhex(text).and_then(|bytes| hash(&bytes))).collect();
        hashes.ok_or_else(|| nonsense(&url, &"a hash in it is none"))
    }

    async fn retrieve(&self, limit: usize, question: &Value) -> Result<Vec<LogEntry>, Error> {
        let url = self.url("api/v1/log/entries/retrieve");
        let answer = self.post(limit, &url, question).await?;
        if answer.status != 200 {
            return Err(refusal(Service::Rekor, &url, &answer));
        }
        let list: Vec<Map<String, Value>> =
            serde_json::from_slice(&answer.body).map_err(|error| nonsense(&url, &error))?;
        list.iter().flatten().map(|(id, value)| LogEntry::read(id, value)).collect()
    }

    fn entries(&self, url: &str, answer: &Answer) -> Result<Map<String, Value>, Error> {
        serde_json::from_slice(&answer.body).map_err(|error| nonsense(url, &error))
    }

    async fn post(&self, limit: usize, url: &str, body: &Value) -> Result<Answer, Error> {
        let send = self.http.send_for(limit, Service::Rekor, url, self.timeout, |client| {
            client.post(url).header("Accept", "application/json").json(body)
        });
        send.await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base.as_str().trim_end_matches('/'))
    }
}

fn nonsense(url: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Answer { service: Service::Rekor, url: url.to_owned(), why: why.to_string() }
}

/// The one entry of an answer; by `id`, if it was asked for by one.
fn one(entries: &Map<String, Value>, id: Option<&str>, url: &str) -> Result<LogEntry, Error> {
    let mut all = entries.iter();
    let (Some((found, value)), None) = (all.next(), all.next()) else {
        return Err(nonsense(url, &"there is not exactly one entry in it"));
    };
    if id.is_some_and(|id| !is_of(id, found)) {
        return Err(nonsense(url, &"it is another entry than the one that was asked for"));
    }
    LogEntry::read(found, value)
}

/// Ids with and without their tree name one entry.
fn is_of(id: &str, other: &str) -> bool {
    id == other || (id.len() != other.len() && (id.ends_with(other) || other.ends_with(id)))
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 64 | 80) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The id in `Location`, or in the message.
fn existing(answer: &Answer) -> Option<String> {
    let location =
        answer.header("location").and_then(|location| location.rsplit('/').next()).map(str::to_owned);
    let in_text =
        || answer.text().rsplit(' ').next().map(|word| word.trim_end_matches(['"', '}', '\n']).to_owned());
    location.filter(|id| is_id(id)).or_else(in_text).filter(|id| is_id(id))
}

fn proposed(prepared: &Prepared) -> Value {
    json!({
        "kind": "dsse",
        "apiVersion": "0.0.1",
        "spec": { "proposedContent": {
            "envelope": prepared.envelope(),
            "verifiers": [STANDARD.encode(prepared.verifier_pem())],
        }},
    })
}

/// `intoto` 0.0.2 encodes payload and signature twice.
fn with_payload(prepared: &Prepared) -> Value {
    let twice = |bytes: &[u8]| STANDARD.encode(STANDARD.encode(bytes));
    let sha256 = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(&Sha256::digest(bytes)) });
    json!({
        "kind": "intoto",
        "apiVersion": "0.0.2",
        "spec": { "content": {
            "envelope": {
                "payloadType": PAYLOAD_TYPE,
                "payload": twice(&prepared.payload),
                "signatures": [{
                    "sig": twice(&prepared.signature),
                    "publicKey": STANDARD.encode(prepared.verifier_pem()),
                }],
            },
            "hash": sha256(prepared.envelope().as_bytes()),
            "payloadHash": sha256(&prepared.payload),
        }},
    })
}
