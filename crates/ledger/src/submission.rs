//! What a caller asks to have recorded, and what became of it. Bytes are hashed and validated here, on the caller's
//! thread, before the sequencer sees them. It must not know the state of the log.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Digest, Manifest, ManifestError, ManifestType, Name, Sha256Digest, Tag};
use taglog::Reason;

use crate::evidence::{Evidence, Pending};
use crate::record::Recorded;

/// Something to record.
#[derive(Clone, Debug)]
pub enum Submission {
    /// What upstream serves for a tag: the first record of an unknown key, a change of an observed one.
    Record(Observation),
    /// Upstream serves `seen` for a tag that is frozen at `recorded`.
    Moved {
        /// Registry host and repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// What the tag is frozen at.
        recorded: Sha256Digest,
        /// SHA-256, computed by us, of what upstream served.
        seen: Sha256Digest,
        /// Unix seconds of the upstream answer's `Date`, if it had one.
        upstream_date: Option<i64>,
    },
    /// An operator's public re-pin of a frozen or thawed tag.
    Supersede {
        /// Registry host and repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// The digest the tag is recorded with.
        old: Sha256Digest,
        /// The manifest it is to mean from here on.
        manifest: ManifestBytes,
        /// Why; published for ever.
        reason: Reason,
    },
    /// An operator's public end of freezing.
    Thaw {
        /// Registry host and repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// The digest the tag is frozen at.
        digest: Sha256Digest,
        /// Why; published for ever.
        reason: Reason,
    },
    /// The end of the log: a key that is to be retired, or is in the wrong hands. Nothing follows but its index.
    Close {
        /// Why; published for ever.
        reason: Reason,
    },
    /// Something to record, and a document about it that is kept with the record if this makes one.
    Evidenced {
        /// [`Record`](Self::Record) or [`Supersede`](Self::Supersede).
        submission: Box<Submission>,
        /// At most [`MAX_EVIDENCE`](crate::MAX_EVIDENCE) bytes.
        evidence: Evidence,
    },
    /// What is about to be recorded: who comes first decides what the tag means. Refused where the record itself would be,
    /// charged as the record would be (which then costs nothing more; each further signature does), and its manifest is kept.
    Pend {
        /// [`Record`](Self::Record) or [`Supersede`](Self::Supersede).
        submission: Box<Submission>,
        /// What is needed to go on after a restart; at most [`MAX_PREPARED`](crate::MAX_PREPARED) bytes.
        prepared: Bytes,
        /// What it takes the place of; without, nothing is replaced.
        replaces: Option<Bytes>,
    },
    /// A document about the checkpoint whose last leaf is at `index`; it takes the place of an earlier one, and is kept also
    /// of a closed log.
    Anchored {
        /// The checkpoint's index leaf.
        index: u64,
        /// At most [`MAX_EVIDENCE`](crate::MAX_EVIDENCE) bytes.
        evidence: Evidence,
    },
    /// A manifest that passed through by digest: kept if an index kept under this name names it, or a record whose
    /// manifest is not kept (any more); also by a closed log.
    KeepManifest {
        /// The name it was fetched under.
        name: Name,
        /// The manifest.
        manifest: ManifestBytes,
    },
}

impl Submission {
    /// Whether it adds nothing to the log.
    pub(crate) fn suits_a_closed_log(&self) -> bool {
        matches!(self, Self::KeepManifest { .. } | Self::Anchored { .. })
    }
}

/// What upstream served for a tag.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Whether the policy freezes the tag (or only observes it).
    pub freeze: bool,
    /// Registry host and repository.
    pub name: Name,
    /// The tag.
    pub tag: Tag,
    /// The manifest.
    pub manifest: ManifestBytes,
    /// Unix seconds of the upstream answer's `Date`, if it had one.
    pub upstream_date: Option<i64>,
    /// Who caused it, for the client's budget.
    pub client: Option<IpAddr>,
    /// The upstream's configured name or `other`, for its budget.
    pub upstream: String,
}

impl Observation {
    /// The `upstream` of every registry that nobody configured.
    pub const OTHER: &str = "other";
}

/// A validated manifest with the digest computed from its bytes.
#[derive(Clone, Debug)]
pub struct ManifestBytes {
    bytes: Bytes,
    digest: Sha256Digest,
    media_type: ManifestType,
    children: Arc<[Sha256Digest]>,
}

impl ManifestBytes {
    /// Hashes and validates `bytes`; `content_type` is what upstream called them.
    ///
    /// # Errors
    /// What `oci::Manifest::validate` refuses.
    pub fn new(bytes: Bytes, content_type: Option<&str>) -> Result<Self, ManifestError> {
        let manifest = Manifest::validate(&bytes, content_type)?;
        let children = manifest.children.iter().filter_map(|digest| match digest {
            Digest::Sha256(digest) => Some(*digest),
            _ => None,
        });
        Ok(Self {
            digest: Sha256Digest::of(&bytes),
            media_type: manifest.media_type,
            children: children.collect(),
            bytes,
        })
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Its media type.
    pub fn media_type(&self) -> ManifestType {
        self.media_type
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Manifests that it names, if it is an index.
    pub(crate) fn children(&self) -> &[Sha256Digest] {
        &self.children
    }
}

/// What became of a submission. Everything it says is durable.
#[derive(Clone, Debug)]
pub enum Appended {
    /// This submission made the key's current record.
    Recorded(Arc<Recorded>),
    /// The key has a current record already, made by someone else; compare its digest.
    Existing(Arc<Recorded>),
    /// The move was recorded as evidence in this leaf.
    Evidence {
        /// Index of the `moved` leaf.
        index: u64,
    },
    /// The log ended with this leaf.
    Closed {
        /// Index of the `close` leaf.
        index: u64,
        /// Its time, in Unix seconds.
        time: u64,
    },
    /// The manifest is kept.
    Kept,
    /// This is about to be recorded, whoever submitted it.
    Pending(Pending),
    /// Nothing was recorded, and nothing had to be.
    NotRecorded(NotRecorded),
}

/// Why nothing was recorded although nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRecorded {
    /// This very move, or this very manifest, was recorded before.
    Already,
    /// The day's budget for it is spent; it was counted.
    Budget,
    /// The disk is too full for evidence; it was counted.
    DiskFull,
    /// The tag is not frozen at the digest that the submission names, or no kept index names the manifest.
    NotWanted,
}
