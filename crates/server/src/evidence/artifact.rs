//! A record's bundle as an artifact that refers to its image: what `cosign verify-attestation` looks for.
//!
//! Nothing of it is stored but the bundle; the rest is a function of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger::Entry;
use oci::{Descriptor, Digest, ManifestType, Name, Sha256Digest};
use sigstore::Statement;
use sigstore::referrer::{self, BUNDLE_TYPE, Referred};

use super::{Records, subject};
use crate::app::App;
use crate::edge::respond::rfc3339;
use crate::error::Error;
use crate::resolve::Manifest;

/// An artifact of a record.
struct Artifact {
    manifest: Vec<u8>,
    bundle: Bytes,
    time: u64,
}

/// The artifact's manifest.
pub(super) fn manifest(
    bundle: &[u8],
    statement: &Statement,
    media_type: &str,
    size: u64,
    time: u64,
) -> Vec<u8> {
    let subject = Referred { media_type: media_type.to_owned(), digest: statement.digest.into(), size };
    referrer::manifest(bundle, &subject, &rfc3339(time))
}

/// Descriptors of our artifacts that refer to this digest under this name.
pub(crate) fn referrers(app: &App, name: &Name, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
    let describe = |artifact: Artifact| Descriptor {
        media_type: ManifestType::OciManifest,
        digest: Sha256Digest::of(&artifact.manifest).into(),
        size: artifact.manifest.len() as u64,
        artifact_type: Some(BUNDLE_TYPE.to_owned()),
        annotations: referrer::annotations(&rfc3339(artifact.time)).into_iter().collect::<BTreeMap<_, _>>(),
    };
    let Digest::Sha256(sha256) = digest else { return Ok(Vec::new()) };
    Ok(artifacts(app, name, &subject(name, sha256))?.into_iter().map(describe).collect())
}

/// The artifact's manifest, if this is the digest of one.
pub(crate) fn by_manifest(app: &App, name: &Name, digest: &Digest) -> Result<Option<Manifest>, Error> {
    let Digest::Sha256(sha256) = digest else { return Ok(None) };
    let found = artifacts(app, name, sha256.as_bytes())?;
    let found =
        found.into_iter().find(|artifact| Digest::from(Sha256Digest::of(&artifact.manifest)) == *digest);
    Ok(found
        .map(|artifact| Manifest { bytes: artifact.manifest.into(), media_type: ManifestType::OciManifest }))
}

/// A blob of an artifact: its bundle, or the empty configuration.
pub(crate) fn blob(app: &App, name: &Name, digest: &Digest) -> Result<Option<Bytes>, Error> {
    if app.evidence.is_some() && *digest == Digest::from(Sha256Digest::of(referrer::EMPTY)) {
        return Ok(Some(Bytes::from_static(referrer::EMPTY)));
    }
    let Digest::Sha256(sha256) = digest else { return Ok(None) };
    let found = artifacts(app, name, sha256.as_bytes())?;
    Ok(found
        .into_iter()
        .map(|artifact| artifact.bundle)
        .find(|bundle| Digest::from(Sha256Digest::of(bundle)) == *digest))
}

/// Artifacts of this name with this id. Documents of the original program are no bundles, and no artifacts.
fn artifacts(app: &App, name: &Name, id: &[u8; 32]) -> Result<Vec<Artifact>, Error> {
    let Some(records) = &app.evidence else { return Ok(Vec::new()) };
    let store = |source| {
        let subject = name.to_string();
        tracing::error!(reference = %subject, error = %source, "the evidence of a record cannot be read");
        Error::Store { subject, source: std::sync::Arc::new(source) }
    };
    let mut found = Vec::new();
    for index in app.ledger.evidenced_by(id).map_err(store)? {
        let Some(entry) = app.ledger.entry(index).map_err(store)? else { continue };
        let Some(bundle) = app.ledger.evidence(index).map_err(store)? else { continue };
        found.extend(artifact(app, records, name, &entry, bundle));
    }
    Ok(found)
}

fn artifact(app: &App, records: &Records, name: &Name, entry: &Entry, bundle: Bytes) -> Option<Artifact> {
    let (of, _, digest) = entry.leaf.current()?;
    if of != name {
        return None;
    }
    let logged = records.at(entry).filter(|logged| logged.signature_verified)?;
    let (media_type, size) = match &entry.leaf {
        taglog::Leaf::Tag(record) | taglog::Leaf::Seen(record) => (record.media_type, record.size),
        // A re-pin does not say them; its manifest is kept with it.
        _ => {
            let stored = app.ledger.manifest(name, digest).ok()??;
            (stored.media_type, stored.bytes.len() as u64)
        }
    };
    let time = logged.entry.time;
    let manifest = manifest(&bundle, &logged.statement, media_type.as_str(), size, time);
    Some(Artifact { manifest, bundle, time })
}
