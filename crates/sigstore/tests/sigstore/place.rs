//! All services in a temporary directory, and a signer that trusts them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use oci::Sha256Digest;
use sigstore::{
    Action, Clock, Identity, IdentitySource, SearchBudget, Settings, SignerSource, Sigstore, Statement,
    Subject, TrustSource, TufRepository,
};
use testkit::sigstore::{IDENTITY, ISSUER};

pub(crate) const REFERENCE: &str = "index.docker.io/library/alpine:3.16.0";
pub(crate) const START: i64 = 1_700_000_000;

pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) clock: testkit::Clock,
    pub(crate) services: testkit::sigstore::Sigstore,
    pub(crate) version: u32,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = testkit::Clock::at(START);
        let services = testkit::sigstore::Sigstore::start(directory.path(), &clock);
        Self { directory, clock, services, version: 1 }
    }

    pub(crate) fn v2() -> Self {
        Self { version: 2, ..Self::new() }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            signer: SignerSource::Workload(IdentitySource::File(self.services.path("token"))),
            identity: None,
            former: Vec::new(),
            trust: TrustSource::Files {
                trusted_root: self.services.path("trusted_root.json"),
                signing_config: self.services.path(&format!("signing_config.{}.json", self.version)),
            },
            fulcio_url: None,
            rekor_url: None,
            audience: "sigstore".to_owned(),
            fulcio_timeout: Duration::from_secs(60),
            rekor_timeout: Duration::from_secs(60),
            log_origin: Some("tlog.example/log".to_owned()),
            heads: Some(self.directory.path().join("heads.json")),
            store_attestation: false,
            search: SearchBudget { entries: 64, time: Duration::from_secs(60) },
            adopt_original: Vec::new(),
        }
    }

    pub(crate) fn with(&self, settings: Settings) -> Sigstore {
        let clock = self.clock.clone();
        let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(clock.now()).unwrap());
        Sigstore::open(settings, Clock::by(now)).unwrap()
    }

    pub(crate) fn signer(&self) -> Sigstore {
        self.with(self.settings())
    }

    /// A signer that trusts by TUF.
    pub(crate) fn by_tuf(&self) -> Sigstore {
        let repository = TufRepository {
            url: self.services.tuf().parse().unwrap(),
            root: self.services.path("root.json"),
        };
        let cache_dir = self.directory.path().join("cache");
        self.with(Settings {
            trust: TrustSource::Tuf { cache_dir, repository: Some(repository) },
            ..self.settings()
        })
    }

    pub(crate) fn attesting(&self) -> Sigstore {
        self.with(Settings { store_attestation: true, ..self.settings() })
    }

    /// A trust root whose Rekor v1 had its key until this time.
    pub(crate) fn retired(&self, end: &str) -> PathBuf {
        let root = std::fs::read(self.services.path("trusted_root.json")).unwrap();
        let mut root: serde_json::Value = serde_json::from_slice(&root).unwrap();
        root["tlogs"][0]["publicKey"]["validFor"]["end"] = end.into();
        self.file("retired.json", &root.to_string())
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

pub(crate) fn statement(content: &str) -> Statement {
    Statement {
        reference: REFERENCE.to_owned(),
        digest: Sha256Digest::of(content.as_bytes()),
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        sequence: 0,
        previous: None,
        action: Action::FirstSeen,
        log_origin: Some("tlog.example/log".to_owned()),
    }
}

pub(crate) fn us() -> Identity {
    Identity { subject: Subject::Email(IDENTITY.to_owned()), issuer: ISSUER.to_owned() }
}
