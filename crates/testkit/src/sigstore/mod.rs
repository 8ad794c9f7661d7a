//! Sigstore on loopback: an issuer of tokens, Fulcio with a CT log's key, Rekor v1, Rekor v2, a timestamp authority, and the
//! files that trust them, also in a TUF repository. Each does what the real one does, until a test has it lose, lie or fail.
//! Knows nothing of tags.

#![expect(clippy::indexing_slicing, reason = "a test kit fails by panicking")]

mod authority;
mod der;
mod fault;
mod keys;
mod rekor;
mod server;
mod stamp;
mod tiles;
mod tuf;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use self::authority::Authority;
pub use self::fault::Fault;
use self::fault::Faults;
pub use self::rekor::Rekor;
use self::server::Server;
use self::stamp::Stamp;
use self::tiles::Tiles;
use self::tuf::Tuf;
use crate::Clock;

/// The issuer's name in certificates.
pub const ISSUER: &str = "https://issuer.example";
/// Who asks for certificates.
pub const IDENTITY: &str = "tlogistry@example.test";

/// All services; they end when it is dropped.
pub struct Sigstore {
    directory: PathBuf,
    faults: Arc<Faults>,
    fulcio: Arc<AtomicU64>,
    rekor_requests: Arc<AtomicU64>,
    stamps: Arc<AtomicU64>,
    trust: Arc<AtomicU64>,
    rekor: Arc<Rekor>,
    tiles: Arc<Tiles>,
    authority: Arc<Authority>,
    tuf: Arc<Tuf>,
    servers: Vec<Server>,
}

impl Sigstore {
    /// Starts everything; writes `trusted_root.json`, `signing_config.1.json`, `signing_config.2.json`, `root.json` and
    /// `token` to `directory`.
    ///
    /// # Panics
    ///
    /// If it cannot.
    #[must_use]
    pub fn start(directory: &Path, clock: &Clock) -> Self {
        let faults = Arc::new(Faults::default());
        let authority = Arc::new(Authority::new(clock.clone(), Arc::clone(&faults)));
        let rekor = Arc::new(Rekor::new(clock.clone(), Arc::clone(&faults), Arc::clone(&authority)));
        let tiles = Arc::new(Tiles::new(Arc::clone(&faults)));
        let stamp = Arc::new(Stamp::new(clock.clone(), Arc::clone(&faults)));
        let counted = || Arc::new(AtomicU64::new(0));
        let tuf = Arc::new(Tuf::new(clock.clone(), Arc::clone(&faults)));
        let (fulcio, rekor_requests, stamps, trust) = (counted(), counted(), counted(), counted());
        let servers = vec![
            Server::start(Arc::clone(&fulcio), {
                let authority = Arc::clone(&authority);
                move |request| authority.answer(request)
            }),
            Server::start(Arc::clone(&rekor_requests), {
                let rekor = Arc::clone(&rekor);
                move |request| rekor.answer(request)
            }),
            Server::start(Arc::clone(&rekor_requests), {
                let tiles = Arc::clone(&tiles);
                move |request| tiles.answer(request)
            }),
            Server::start(Arc::clone(&stamps), {
                let stamp = Arc::clone(&stamp);
                move |request| stamp.answer(request)
            }),
            Server::start(Arc::clone(&trust), {
                let tuf = Arc::clone(&tuf);
                move |request| tuf.answer(request)
            }),
        ];
        let started = Self {
            directory: directory.to_owned(),
            faults,
            fulcio,
            rekor_requests,
            stamps,
            trust,
            rekor,
            tiles,
            authority,
            tuf,
            servers,
        };
        started.write("trusted_root.json", &started.trusted_root(&stamp));
        for version in [1, 2] {
            started.write(&format!("signing_config.{version}.json"), &started.signing_config(version));
        }
        std::fs::write(started.path("root.json"), started.tuf.root()).expect("a file");
        started.publish(1);
        started.identity(IDENTITY);
        started
    }

    /// From here on the TUF repository names this version of Rekor, for a week.
    ///
    /// # Panics
    ///
    /// If a file that it wrote is gone.
    pub fn publish(&self, version: u32) {
        let read = |name: &str| std::fs::read(self.path(name)).expect("a file");
        self.tuf.publish(&[
            ("trusted_root.json", read("trusted_root.json")),
            ("signing_config.v0.2.json", read(&format!("signing_config.{version}.json"))),
        ]);
    }

    /// Where the TUF repository is.
    #[must_use]
    pub fn tuf(&self) -> String {
        self.url(4)
    }

    /// Requests to it.
    #[must_use]
    pub fn trust_requests(&self) -> u64 {
        self.trust.load(Ordering::SeqCst)
    }

    /// A file that it wrote.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// From here on `token` is of somebody else.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn identity(&self, email: &str) {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = encode(&json!({ "alg": "none" }));
        let claims = encode(&json!({ "iss": ISSUER, "sub": "1", "email": email, "email_verified": true }));
        std::fs::write(self.path("token"), format!("{head}.{claims}.c2ln\n")).expect("a file");
    }

    /// From here on something is wrong.
    pub fn fault(&self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Everything is right again.
    pub fn heal(&self) {
        self.faults.clear();
    }

    /// The log.
    #[must_use]
    pub fn rekor(&self) -> &Rekor {
        &self.rekor
    }

    /// Entries of the Rekor v2.
    #[must_use]
    pub fn tiles(&self) -> u64 {
        self.tiles.size()
    }

    /// A certificate with the name of who asks for certificates, of somebody's own making.
    ///
    /// # Panics
    ///
    /// If there is no randomness.
    #[must_use]
    pub fn forged(&self) -> Vec<u8> {
        self.fault(Fault::OtherChain);
        let point = keys::Point::find(&keys::spki(&keys::p256())).expect("a key");
        let certificate = self.authority.certificate(&point, IDENTITY);
        self.faults.take(Fault::OtherChain);
        certificate
    }

    /// Requests to all services.
    #[must_use]
    pub fn requests(&self) -> u64 {
        [&self.fulcio, &self.rekor_requests, &self.stamps, &self.trust]
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    /// Requests to Fulcio.
    #[must_use]
    pub fn certificates(&self) -> u64 {
        self.fulcio.load(Ordering::SeqCst)
    }

    fn url(&self, place: usize) -> String {
        self.servers.get(place).map(Server::url).unwrap_or_default()
    }

    fn write(&self, name: &str, value: &Value) {
        std::fs::write(self.path(name), value.to_string()).expect("a file");
    }

    fn trusted_root(&self, stamp: &Stamp) -> Value {
        let since = json!({ "start": "2020-01-01T00:00:00Z" });
        let key = |spki: &[u8], details: &str| json!({ "rawBytes": STANDARD.encode(spki), "keyDetails": details, "validFor": since });
        let log = |url: &str, spki: &[u8], details: &str, id: &[u8]| {
            json!({
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": key(spki, details),
                "logId": { "keyId": STANDARD.encode(id) },
            })
        };
        let chain = |certificates: &[Vec<u8>]| {
            let certificates: Vec<Value> =
                certificates.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
            json!({ "certificates": certificates })
        };
        let p256 = "PKIX_ECDSA_P256_SHA_256";
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                log(&self.url(1), &self.rekor.spki(), p256, &self.rekor.log_id()),
                log("https://rekor2.example", &self.tiles.spki(), "PKIX_ED25519", &self.tiles.log_id()),
            ],
            "certificateAuthorities": [{
                "subject": { "organization": "local", "commonName": "fulcio" },
                "uri": self.url(0),
                "certChain": chain(&[self.authority.root()]),
                "validFor": since,
            }],
            "ctlogs": [log("https://ct.example", &self.authority.ct_spki(), p256, &self.authority.ct_id())],
            "timestampAuthorities": [{
                "subject": { "organization": "local", "commonName": "tsa" },
                "uri": self.url(3),
                "certChain": chain(&stamp.chain()),
                "validFor": since,
            }],
        })
    }

    fn signing_config(&self, version: usize) -> Value {
        let service = |url: String, version: usize| {
            json!([{
                "url": url,
                "majorApiVersion": version,
                "validFor": { "start": "2020-01-01T00:00:00Z" },
                "operator": "local",
            }])
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(self.url(0), 1),
            "rekorTlogUrls": service(self.url(version), version),
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaUrls": service(self.url(3), 1),
            "tsaConfig": { "selector": "ANY" },
        })
    }
}
