//! Rekor v2: logging the hash of what was signed (`hashedrekord` 0.0.2), and reading the log's tiles.
//!
//! The log keeps no payload and no index: what is logged is found by whoever kept it, or by reading the whole log.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_crypto::Checkpoint;
use sigstore_trust_root::{TransparencyLog, TrustedRoot};
use tlog::{EntriesId, Hash, TileId, decode_entries, node_in_tile, prove_inclusion};
use url::Url;

use crate::entry2::{Entry2, KindVersion, LogId, Note, Proof};
use crate::error::{Error, Service};
use crate::http::{Answer, Http, refusal};
use crate::prepared::{Prepared, Verifier};
use crate::statement::pae;
use crate::verify::host_of;

/// A write is answered when a checkpoint covers it.
const WRITE: Duration = Duration::from_secs(30);
/// Entries of one bundle of entries.
pub(crate) const BUNDLE: u64 = 256;
/// Bytes of one: entries of 64 KiB behind their lengths. Anybody can log them.
const MAX_BUNDLE: usize = 256 * (64 * 1024 + 2);
/// Bytes of anything else.
const MAX_ANSWER: usize = 1024 * 1024;
/// Tiles that one inclusion proof may take.
const MAX_TILES: usize = 32;

/// One Rekor.
pub(crate) struct Rekor2<'a> {
    pub(crate) http: &'a Http,
    pub(crate) base: &'a Url,
    pub(crate) timeout: Duration,
    /// Which logs are believed.
    pub(crate) root: &'a TrustedRoot,
}

impl Rekor2<'_> {
    /// Logs the hash; gives the entry as bundles hold it.
    pub(crate) async fn log(&self, prepared: &Prepared) -> Result<Value, Error> {
        let url = self.url("api/v2/log/entries");
        let proposed = proposed(prepared);
        let answer = self
            .http
            .send(Service::Rekor, &url, self.timeout.max(WRITE), |client| client.post(&url).json(&proposed))
            .await?;
        match answer.status {
            200 | 201 => {
                let entry: Entry2 =
                    serde_json::from_slice(&answer.body).map_err(|error| nonsense(&url, &error))?;
                Ok(entry.to_protojson())
            }
            // Logged before: it says where.
            409 => {
                let index = answer.header("x-log-index").and_then(|index| index.parse().ok());
                let index = index.ok_or_else(|| refusal(Service::Rekor, &url, &answer))?;
                self.entry(index).await
            }
            _ => Err(refusal(Service::Rekor, &url, &answer)),
        }
    }

    /// The newest checkpoint, not verified.
    pub(crate) async fn checkpoint(&self) -> Result<String, Error> {
        let url = self.url("api/v2/checkpoint");
        let answer = self.get(MAX_ANSWER, &url).await?;
        String::from_utf8(answer.body).map_err(|error| nonsense(&url, &error))
    }

    /// Bodies of up to 256 entries that begin at `index`, which is a multiple of 256, out of `size`.
    pub(crate) async fn bodies(&self, index: u64, size: u64) -> Result<Vec<Vec<u8>>, Error> {
        let width = u16::try_from(size.saturating_sub(index).min(BUNDLE)).unwrap_or(256);
        let id = EntriesId { index: index / BUNDLE, width };
        let full = EntriesId { index: id.index, width: 256 };
        let bytes = self.tile(MAX_BUNDLE, &id.to_string(), &full.to_string()).await?;
        let url = self.url("api/v2/tile/entries");
        // A partial bundle that is gone was answered with the full one, which begins with it.
        let bodies = decode_entries(&bytes, width).or_else(|_partial| decode_entries(&bytes, 256));
        let bodies = bodies.map_err(|error| nonsense(&url, &error))?;
        Ok(bodies.into_iter().take(usize::from(width)).map(<[u8]>::to_vec).collect())
    }

    /// An entry by its index, with its proof at the newest checkpoint.
    async fn entry(&self, index: u64) -> Result<Value, Error> {
        let url = self.url("api/v2/checkpoint");
        let checkpoint = self.checkpoint().await?;
        let parsed = Checkpoint::from_text(&checkpoint).map_err(|error| nonsense(&url, &error))?;
        let log = logs_of(self.root, parsed.origin())
            .next()
            .ok_or_else(|| nonsense(&url, &"its checkpoint is of a log that is not believed"))?;
        let size = parsed.tree_size();
        if index >= size {
            return Err(nonsense(&url, &"the entry that it says exists is beyond its newest checkpoint"));
        }
        let first = index - index % BUNDLE;
        let bodies = self.bodies(first, size).await?;
        let at = usize::try_from(index % BUNDLE).unwrap_or(usize::MAX);
        let body = bodies.get(at).ok_or_else(|| nonsense(&url, &"the entry is not in its bundle"))?;
        let hashes = self.proof(index, size).await?;
        let encode = |bytes: &[u8]| STANDARD.encode(bytes);
        let entry = Entry2 {
            log_index: index.to_string(),
            log_id: LogId { key_id: encode(log.log_id.key_id.as_bytes()) },
            kind_version: KindVersion { kind: "hashedrekord".to_owned(), version: "0.0.2".to_owned() },
            inclusion_proof: Proof {
                log_index: index.to_string(),
                root_hash: encode(parsed.root_hash().as_bytes()),
                tree_size: size.to_string(),
                hashes: hashes.iter().map(|hash| encode(hash.as_bytes())).collect(),
                checkpoint: Note { envelope: checkpoint },
            },
            canonicalized_body: encode(body),
        };
        Ok(entry.to_protojson())
    }

    /// Finds out which tiles a proof takes by trying, and fetches them.
    async fn proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        let mut tiles: BTreeMap<(u8, u64), Vec<u8>> = BTreeMap::new();
        for _ in 0..MAX_TILES {
            let mut missing = None;
            let proof = prove_inclusion(index, size, &mut |node| {
                let (level, tile, _) = TileId::of_node(node);
                match tiles.get(&(level, tile)) {
                    Some(hashes) => node_in_tile(node, hashes),
                    None => {
                        missing.get_or_insert((level, tile));
                        Err(tlog::Error::OutsideTree { index, size })
                    }
                }
            });
            match (proof, missing) {
                (Ok(proof), _) => return Ok(proof),
                (Err(_), Some((level, tile))) => {
                    let hashes = self.hashes(level, tile, size).await?;
                    tiles.insert((level, tile), hashes);
                }
                (Err(error), None) => return Err(nonsense(&self.url("api/v2/tile"), &error)),
            }
        }
        Err(nonsense(&self.url("api/v2/tile"), &"a proof takes more tiles than any tree has"))
    }

    async fn hashes(&self, level: u8, index: u64, size: u64) -> Result<Vec<u8>, Error> {
        let in_level = size >> (8 * u32::from(level));
        let width = u16::try_from(in_level.saturating_sub(index * BUNDLE).min(BUNDLE)).unwrap_or(256);
        let id = TileId { level, index, width };
        let full = TileId { level, index, width: 256 };
        self.tile(MAX_ANSWER, &id.to_string(), &full.to_string()).await
    }

    /// A partial tile may be gone once it is full.
    async fn tile(&self, limit: usize, path: &str, full: &str) -> Result<Vec<u8>, Error> {
        let path = path.trim_start_matches('/');
        let url = self.url(&format!("api/v2/{path}"));
        match self.get(limit, &url).await {
            Err(Error::Service { status: Some(404), .. }) if path != full => {
                let url = self.url(&format!("api/v2/{}", full.trim_start_matches('/')));
                Ok(self.get(limit, &url).await?.body)
            }
            answer => Ok(answer?.body),
        }
    }

    async fn get(&self, limit: usize, url: &str) -> Result<Answer, Error> {
        let send = self.http.send_for(limit, Service::Rekor, url, self.timeout, |client| client.get(url));
        let answer = send.await?;
        if answer.status == 200 { Ok(answer) } else { Err(refusal(Service::Rekor, url, &answer)) }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base.as_str().trim_end_matches('/'))
    }
}

/// The logs of this name: a Rekor v2 signs checkpoints with the host of its address.
pub(crate) fn logs_of<'a>(root: &'a TrustedRoot, origin: &str) -> impl Iterator<Item = &'a TransparencyLog> {
    root.tlogs.iter().filter(move |log| host_of(&log.base_url) == origin)
}

fn nonsense(url: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Answer { service: Service::Rekor, url: url.to_owned(), why: why.to_string() }
}

fn proposed(prepared: &Prepared) -> Value {
    let encode = |bytes: &[u8]| STANDARD.encode(bytes);
    let (kind, der) = match &prepared.verifier {
        Verifier::Certificate { der, .. } => ("x509Certificate", der),
        Verifier::Key { spki } => ("publicKey", spki),
    };
    json!({ "hashedRekordRequestV002": {
        "digest": encode(&Sha256::digest(pae(&prepared.payload))),
        "signature": {
            "content": encode(&prepared.signature),
            "verifier": { kind: { "rawBytes": encode(der) }, "keyDetails": "PKIX_ECDSA_P256_SHA_256" },
        },
    }})
}
