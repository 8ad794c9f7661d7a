//! A manifest by digest: from our store if it was fetched under this very name, else from upstream,
//! hashed on the way.
//!
//! Needs no record: the digest says what the bytes must be. Children that a recorded index names are
//! kept once they have passed, so that the whole image stays available.

use std::sync::Arc;

use ledger::{ManifestBytes, Submission};
use oci::{Digest, ManifestSelector, Name};
use upstream::FetchedManifest;

use super::{Manifest, Served};
use crate::app::App;
use crate::error::{Error, What};
use crate::evidence::artifact;

/// Resolves a digest under a name.
pub(crate) async fn manifest(app: &Arc<App>, name: &Name, digest: Digest) -> Result<Served, Error> {
    let subject = || format!("{name}@{digest}");
    if let Digest::Other { .. } = digest {
        return Err(Error::Algorithm { digest });
    }
    if let Digest::Sha256(sha256) = &digest {
        let stored = app.ledger.manifest(name, sha256).map_err(|source| {
            tracing::error!(reference = %subject(), error = %source, "a stored manifest cannot be read");
            Error::Store { subject: subject(), source: Arc::new(source) }
        })?;
        if let Some(stored) = stored {
            app.metrics.stored(true);
            let manifest = Manifest { bytes: stored.bytes.clone(), media_type: stored.media_type };
            return Ok(served(app, name, digest, manifest));
        }
    }
    if let Some(manifest) = artifact::by_manifest(app, name, &digest)? {
        return Ok(Served { since: None, ..served(app, name, digest, manifest) });
    }
    app.metrics.stored(false);
    let fetched = app.fetch(name, &ManifestSelector::Digest(digest.clone())).await.map_err(|source| {
        Error::Upstream { what: What::Manifest, subject: subject(), source: Arc::new(source) }
    })?;
    let media_type = fetched.manifest.media_type;
    keep(app, name, &fetched);
    Ok(served(app, name, digest, Manifest { bytes: fetched.bytes, media_type }))
}

/// Offers what passed to the ledger, which keeps it if a recorded index under this name names it. The answer does
/// not wait for that.
fn keep(app: &Arc<App>, name: &Name, fetched: &FetchedManifest) {
    let subject = format!("{name}@{}", fetched.digest);
    match app.ledger.wants_manifest(name, &fetched.digest) {
        Ok(false) => return,
        Ok(true) => {}
        Err(error) => {
            tracing::warn!(reference = %subject, %error, "whether a manifest is to be kept cannot be read");
            return;
        }
    }
    let (app, name) = (Arc::clone(app), name.clone());
    let (bytes, media_type) = (fetched.bytes.clone(), fetched.manifest.media_type);
    tokio::spawn(async move {
        let Ok(manifest) = ManifestBytes::new(bytes, Some(media_type.as_str())) else { return };
        if let Err(error) = app.ledger.append(Submission::KeepManifest { name, manifest }).await {
            tracing::warn!(reference = %subject, %error, "a child of a recorded index could not be kept");
        }
    });
}

/// Whether the log has this digest under this name, by itself or within an index, so that its bytes are here or wanted.
pub(crate) fn is_recorded(app: &App, name: &Name, digest: &Digest) -> Result<bool, Error> {
    let Digest::Sha256(sha256) = digest else { return Ok(false) };
    let found = app.ledger.manifest(name, sha256).and_then(|stored| match stored {
        Some(_) => Ok(true),
        None => app.ledger.wants_manifest(name, sha256),
    });
    found.map_err(|source| {
        let subject = format!("{name}@{digest}");
        tracing::error!(reference = %subject, error = %source, "a stored manifest cannot be read");
        Error::Store { subject, source: Arc::new(source) }
    })
}

/// Unix seconds of the log's first record of a digest. A date that cannot be had is left out; the bytes are hashed anyway.
fn since(app: &App, name: &Name, digest: &Digest) -> Option<u64> {
    let Digest::Sha256(sha256) = digest else { return None };
    match app.ledger.first_recorded(name, sha256) {
        Ok(entry) => entry?.leaf.time(),
        Err(error) => {
            tracing::warn!(reference = %format!("{name}@{digest}"), %error, "when a digest was recorded cannot be read");
            None
        }
    }
}

fn served(app: &App, name: &Name, digest: Digest, manifest: Manifest) -> Served {
    Served {
        since: since(app, name, &digest),
        digest,
        manifest,
        record: None,
        first_seen: false,
        warning: None,
        by_digest: true,
        moved_to: None,
    }
}
