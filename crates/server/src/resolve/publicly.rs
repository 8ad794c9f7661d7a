//! A tag that is recorded in public first: what Rekor has of it already, or a statement that is signed, logged and checked.
//!
//! Order (design §6): consult; a durable pending row, which pins; log, the same bytes each time; check; consult once more,
//! and the earliest record of ours decides; fetch and hash that digest; append. Nothing of it is served before.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{Appended, Evidence, ManifestBytes, Observation, Pending, Submission};
use oci::{ManifestSelector, ManifestType, Sha256Digest};
use sigstore::{Action, Consulted, Prepared, Statement, Verified};
use taglog::TagKey;
use upstream::FetchedManifest;

use super::{Ask, Served, first_sight, recheck};
use crate::app::App;
use crate::error::{Error, What};
use crate::evidence::{Records, document};

/// Records a tag that neither our log nor anybody else has served, or adopts what Rekor has of it.
pub(super) async fn record(app: &Arc<App>, ask: &Ask, records: &Arc<Records>) -> Result<Served, Error> {
    let key = TagKey::of(&ask.name, &ask.tag);
    let (fetched, prepared, is_current) =
        match app.ledger.pending(&key).map_err(|source| ask.store(source))? {
            Some(pending) => resume(app, ask, pending).await?,
            None => {
                let fetched =
                    app.fetch_tag(&ask.name, &ask.tag).await.map_err(|source| ask.upstream(source))?;
                let statement = statement(app, ask, &fetched);
                if let Some(known) = decided(ask, consult(ask, records, &statement).await?, None)? {
                    return adopt(app, ask, known, fetched).await;
                }
                let prepared =
                    records.sigstore.sign(&statement).await.map_err(|source| ask.evidence(source))?;
                match pend(app, ask, &fetched, &prepared, None).await? {
                    Appended::Pending(pending) if pending.digest == fetched.digest => {
                        (fetched, stored(ask, &pending)?, true)
                    }
                    Appended::Pending(pending) => resume(app, ask, pending).await?,
                    Appended::Existing(record) => return recheck::settle(app, ask, record, fetched).await,
                    _ => return Err(Error::Internal),
                }
            }
        };
    let verified = submit(app, ask, records, &fetched, prepared).await?;
    // Whoever was earlier decides, even if the index did not have it before.
    let again = consult(ask, records, &verified.statement).await?;
    let known = decided(ask, again, Some(verified))?.ok_or(Error::Internal)?;
    if known.statement.digest != fetched.digest {
        return adopt(app, ask, known, fetched).await;
    }
    let evidence = document(&known, fetched.manifest.media_type.as_str(), fetched.bytes.len() as u64);
    if is_current {
        return first_sight::append(app, ask, fetched, true, None, Some(evidence)).await;
    }
    // Upstream may have moved it since it was begun.
    let manifest = manifest(ask, fetched.bytes, fetched.manifest.media_type)?;
    let record = append(app, ask, manifest, fetched.date, evidence).await?;
    recheck::against_upstream(app, ask, key, record).await
}

fn manifest(ask: &Ask, bytes: Bytes, media_type: ManifestType) -> Result<ManifestBytes, Error> {
    ManifestBytes::new(bytes, Some(media_type.as_str())).map_err(|source| ask.upstream(source.into()))
}

/// Goes on with what was about to be recorded when the process ended, or with what somebody else began.
async fn resume(
    app: &Arc<App>,
    ask: &Ask,
    pending: Pending,
) -> Result<(FetchedManifest, Prepared, bool), Error> {
    let prepared = stored(ask, &pending)?;
    Ok((fetch(app, ask, pending.digest).await?, prepared, false))
}

fn stored(ask: &Ask, pending: &Pending) -> Result<Prepared, Error> {
    Prepared::from_bytes(&pending.prepared).map_err(|source| ask.evidence(source))
}

async fn fetch(app: &Arc<App>, ask: &Ask, digest: Sha256Digest) -> Result<FetchedManifest, Error> {
    let selector = ManifestSelector::Digest(digest.into());
    app.fetch(&ask.name, &selector).await.map_err(|source| Error::Upstream {
        what: What::Manifest,
        subject: format!("{}@{digest}", ask.name),
        source: Arc::new(source),
    })
}

fn statement(app: &App, ask: &Ask, fetched: &FetchedManifest) -> Statement {
    Statement {
        reference: ask.reference(),
        digest: fetched.digest,
        media_type: Some(fetched.manifest.media_type.as_str().to_owned()),
        sequence: 0,
        previous: None,
        action: Action::FirstSeen,
        log_origin: (!app.config.ephemeral).then(|| app.ledger.origin().to_owned()),
    }
}

async fn consult(ask: &Ask, records: &Records, candidate: &Statement) -> Result<Consulted, Error> {
    // Another instance may keep a log, or none.
    let without = Statement { log_origin: None, ..candidate.clone() };
    let candidates = [candidate.clone(), without];
    records.sigstore.consult(&ask.reference(), &candidates).await.map_err(|source| ask.evidence(source))
}

async fn pend(
    app: &App,
    ask: &Ask,
    fetched: &FetchedManifest,
    prepared: &Prepared,
    replaces: Option<&Prepared>,
) -> Result<Appended, Error> {
    let submission = Submission::Pend {
        name: ask.name.clone(),
        tag: ask.tag.clone(),
        pending: Pending { digest: fetched.digest, prepared: prepared.to_bytes().into() },
        replaces: replaces.map(|replaced| replaced.to_bytes().into()),
    };
    app.ledger.append(submission).await.map_err(|source| ask.not_recorded(false, source))
}

/// Logs what was signed. A certificate that ended in between, without an entry, is the one reason to sign anew.
async fn submit(
    app: &App,
    ask: &Ask,
    records: &Records,
    fetched: &FetchedManifest,
    prepared: Prepared,
) -> Result<Verified, Error> {
    match records.sigstore.submit(&prepared).await {
        Err(sigstore::Error::CertificateEnded) => {}
        outcome => return outcome.map_err(|source| ask.evidence(source)),
    }
    let statement = prepared.statement().map_err(|source| ask.evidence(source))?;
    let anew = records.sigstore.sign(&statement).await.map_err(|source| ask.evidence(source))?;
    match pend(app, ask, fetched, &anew, Some(&prepared)).await? {
        Appended::Pending(pending) if pending.prepared == anew.to_bytes() => {
            records.sigstore.submit(&anew).await.map_err(|source| ask.evidence(source))
        }
        // Somebody else went on with it.
        _ => Err(ask.evidence(sigstore::Error::CertificateEnded)),
    }
}

/// The record that decides: the earliest first one, and the re-pins that follow it. `own` is what was logged just now: the
/// index may not have it yet, and has it without its timestamp.
fn decided(ask: &Ask, found: Consulted, own: Option<Verified>) -> Result<Option<Verified>, Error> {
    let mut records = found.records;
    if let Some(own) = own {
        records.retain(|record| record.pae_hash != own.pae_hash);
        records.push(own);
        records.sort_by_key(|record| (record.entry.time, record.entry.index));
    }
    let mut current = records.iter().find(|record| record.statement.previous.is_none());
    if let Some(hidden) = found.unreadable.first() {
        let earlier = current
            .is_none_or(|record| (hidden.time, hidden.index) < (record.entry.time, record.entry.index));
        if earlier {
            tracing::error!(reference = %ask.reference(), uuid = %hidden.uuid, "Rekor has an earlier record of ours of another digest");
            return Err(Error::Contradicted { reference: ask.reference(), entry: Box::new(hidden.clone()) });
        }
        tracing::warn!(reference = %ask.reference(), uuid = %hidden.uuid, "Rekor has a later record of ours of another digest");
    }
    while let Some(before) = current {
        let next = records.iter().find(|record| {
            record.statement.previous == Some(before.pae_hash)
                && record.statement.sequence == before.statement.sequence + 1
                && matches!(record.statement.action, Action::Supersede { .. })
        });
        match next {
            Some(next) => current = Some(next),
            None => return Ok(Some(before.clone())),
        }
    }
    Ok(None)
}

/// Records what Rekor has, and only then looks at what upstream serves now.
async fn adopt(
    app: &Arc<App>,
    ask: &Ask,
    known: Verified,
    fetched: FetchedManifest,
) -> Result<Served, Error> {
    let (digest, uuid) = (known.statement.digest, known.entry.uuid.clone());
    tracing::info!(reference = %ask.reference(), %digest, %uuid, "adopting a record of Rekor");
    let bytes = if digest == fetched.digest { fetched.clone() } else { fetch(app, ask, digest).await? };
    let evidence = document(&known, bytes.manifest.media_type.as_str(), bytes.bytes.len() as u64);
    if digest == fetched.digest {
        let served = first_sight::append(app, ask, fetched, true, None, Some(evidence)).await?;
        // Somebody saw it before.
        return Ok(Served { first_seen: false, ..served });
    }
    let manifest = manifest(ask, bytes.bytes, bytes.manifest.media_type)?;
    let record = append(app, ask, manifest, bytes.date, evidence).await?;
    recheck::settle(app, ask, record, fetched).await
}

async fn append(
    app: &App,
    ask: &Ask,
    manifest: ManifestBytes,
    upstream_date: Option<i64>,
    evidence: Evidence,
) -> Result<Arc<ledger::Recorded>, Error> {
    let submission = Submission::Record(Observation {
        freeze: true,
        name: ask.name.clone(),
        tag: ask.tag.clone(),
        manifest,
        upstream_date,
        client: Some(ask.client),
        upstream: app.upstream.label(ask.name.host()).to_owned(),
    });
    let submission = Submission::Evidenced { submission: Box::new(submission), evidence };
    match app.ledger.append(submission).await.map_err(|source| ask.not_recorded(false, source))? {
        Appended::Recorded(record) | Appended::Existing(record) => Ok(record),
        _ => Err(Error::Internal),
    }
}
