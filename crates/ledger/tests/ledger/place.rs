//! A ledger in a temporary directory with a clock that stands still, and shorthands for what tests submit to it.
//! It must not know the inside of the ledger.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ledger::{
    Appended, Budgets, Clock, Fault, Faults, FreeSpace, Ledger, ManifestBytes, Observation, OnFatal, Options,
    Point, Publication, Recorded, Submission,
};
use oci::{Name, Sha256Digest, Tag, TagName};
use taglog::{Reason, SupersedeRule, TagKey};

pub(crate) const START: u64 = 1_700_000_000;
pub(crate) const ORIGIN: &str = "tlog.example/log";
pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A data directory and everything that is injected into a ledger opened on it.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) clock: Arc<AtomicU64>,
    pub(crate) free: Arc<AtomicU64>,
    pub(crate) limits: Budgets,
    pub(crate) supersede: SupersedeRule,
    pub(crate) publication: Publication,
    pub(crate) hold: bool,
    /// Faults still to come, first first.
    pub(crate) faults: Arc<Mutex<Vec<(Point, Fault)>>>,
    /// Why the ledger wanted to end the process.
    pub(crate) fatal: Arc<Mutex<Vec<String>>>,
}

impl Place {
    /// An empty directory.
    pub(crate) fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::new(AtomicU64::new(START)),
            free: Arc::new(AtomicU64::new(u64::MAX)),
            limits: Budgets::UNLIMITED,
            supersede: SupersedeRule::Operator,
            publication: Publication::default(),
            hold: false,
            faults: Arc::default(),
            fatal: Arc::default(),
        }
    }

    /// A directory with a new log.
    pub(crate) fn new() -> Self {
        let place = Self::empty();
        Ledger::init(&place.options()).unwrap();
        place
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn options(&self) -> Options {
        let (clock, free) = (Arc::clone(&self.clock), Arc::clone(&self.free));
        let (faults, fatal) = (Arc::clone(&self.faults), Arc::clone(&self.fatal));
        Options {
            origin: Some(ORIGIN.to_owned()),
            supersede: self.supersede,
            limits: self.limits,
            publication: self.publication.clone(),
            hold_until_released: self.hold,
            clock: Clock::new(move || clock.load(Ordering::SeqCst)),
            free_space: FreeSpace::new(move |_| Ok(free.load(Ordering::SeqCst))),
            on_fatal: OnFatal::new(move |why| fatal.lock().unwrap().push(why.to_owned())),
            faults: Faults::new(move |point| {
                let mut faults = faults.lock().unwrap();
                let next = faults.first().copied().filter(|(at, _)| *at == point)?;
                faults.remove(0);
                Some(next.1)
            }),
            ..Options::new(self.data())
        }
    }

    pub(crate) fn open(&self) -> Ledger {
        Ledger::open(self.options()).unwrap()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn fail(&self, point: Point, fault: Fault) {
        self.faults.lock().unwrap().push((point, fault));
    }
}

pub(crate) fn tag_name(name: &str, tag: &str) -> TagName {
    TagName { name: Name::parse_canonical(name).unwrap(), tag: Tag::parse(tag).unwrap() }
}

/// `v<i>` of one of five repositories.
pub(crate) fn numbered(i: usize) -> TagName {
    let names = [
        "index.docker.io/library/alpine",
        "ghcr.io/org/app",
        "quay.io/a/b",
        "registry.k8s.io/pause",
        "corp.alt/team/app",
    ];
    tag_name(names[i % names.len()], &format!("v{i}"))
}

pub(crate) fn key(tag: &TagName) -> TagKey {
    TagKey::of(&tag.name, &tag.tag)
}

/// A valid image manifest, different for each `content`.
pub(crate) fn image(content: &str) -> ManifestBytes {
    let config = Sha256Digest::of(content.as_bytes());
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{}}},"layers":[]}}"#,
        content.len()
    );
    ManifestBytes::new(Bytes::from(json), Some(IMAGE)).unwrap()
}

/// A valid index of these images.
pub(crate) fn index(children: &[&ManifestBytes]) -> ManifestBytes {
    let children: Vec<String> = children
        .iter()
        .map(|child| {
            let (digest, size) = (child.digest(), child.bytes().len());
            format!(r#"{{"mediaType":"{}","digest":"{digest}","size":{size}}}"#, child.media_type().as_str())
        })
        .collect();
    let json = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, children.join(","));
    ManifestBytes::new(Bytes::from(json), Some(INDEX)).unwrap()
}

pub(crate) fn observation(tag: &TagName, manifest: &ManifestBytes, freeze: bool) -> Observation {
    Observation {
        freeze,
        name: tag.name.clone(),
        tag: tag.tag.clone(),
        manifest: manifest.clone(),
        upstream_date: None,
        client: None,
        upstream: "other".to_owned(),
    }
}

pub(crate) fn freeze(tag: &TagName, manifest: &ManifestBytes) -> Submission {
    Submission::Record(observation(tag, manifest, true))
}

pub(crate) fn observe(tag: &TagName, manifest: &ManifestBytes) -> Submission {
    Submission::Record(observation(tag, manifest, false))
}

pub(crate) fn moved(tag: &TagName, recorded: &ManifestBytes, seen: &ManifestBytes) -> Submission {
    Submission::Moved {
        name: tag.name.clone(),
        tag: tag.tag.clone(),
        recorded: recorded.digest(),
        seen: seen.digest(),
        upstream_date: None,
    }
}

pub(crate) fn supersede(tag: &TagName, old: &ManifestBytes, new: &ManifestBytes) -> Submission {
    Submission::Supersede {
        name: tag.name.clone(),
        tag: tag.tag.clone(),
        old: old.digest(),
        manifest: new.clone(),
        reason: reason(),
    }
}

pub(crate) fn thaw(tag: &TagName, digest: &ManifestBytes) -> Submission {
    Submission::Thaw {
        name: tag.name.clone(),
        tag: tag.tag.clone(),
        digest: digest.digest(),
        reason: reason(),
    }
}

pub(crate) fn keep(tag: &TagName, manifest: &ManifestBytes) -> Submission {
    Submission::KeepManifest { name: tag.name.clone(), manifest: manifest.clone() }
}

pub(crate) fn close() -> Submission {
    Submission::Close { reason: reason() }
}

pub(crate) fn reason() -> Reason {
    Reason::parse("rebuilt by the publisher, ticket 17").unwrap()
}

/// The record that a submission made or found.
pub(crate) fn record(appended: Appended) -> Arc<Recorded> {
    match appended {
        Appended::Recorded(record) | Appended::Existing(record) => record,
        other => panic!("no record: {other:?}"),
    }
}
