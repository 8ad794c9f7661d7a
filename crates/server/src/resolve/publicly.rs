//! A tag that is recorded in public first: what Rekor has of it already, or a statement that is signed, logged and checked.
//!
//! Order (design §6): consult; a durable pending row, which pins; log, the same bytes each time; check; consult once more,
//! and the earliest record of ours decides; fetch and hash that digest; append. Nothing of it is served before.

use std::sync::Arc;

use ledger::{Appended, Evidence, ManifestBytes, Observation, Pending, Recorded, Submission};
use oci::{ManifestSelector, Sha256Digest};
use sigstore::{Action, Consulted, Statement, Verified};
use taglog::TagKey;
use upstream::FetchedManifest;

use super::{Ask, Served, first_sight, recheck};
use crate::app::App;
use crate::error::{Error, What};
use crate::evidence::{Own, Records, Unlogged, decided, document, same};

/// What was begun.
struct Begun {
    fetched: FetchedManifest,
    /// Upstream serves it now.
    is_current: bool,
    pending: Pending,
    /// By this call.
    just_now: bool,
}

/// Records a tag that nobody has frozen yet, or adopts what Rekor has of it. `fetched` is what upstream serves, if it was
/// asked already; `before` is the record of an observed tag.
pub(super) async fn record(
    app: &Arc<App>,
    ask: &Ask,
    records: &Arc<Records>,
    fetched: Option<FetchedManifest>,
    before: Option<&Arc<Recorded>>,
) -> Result<Served, Error> {
    let key = TagKey::of(&ask.name, &ask.tag);
    let begun = match app.ledger.pending(&key).map_err(|source| ask.store(source))? {
        Some(pending) => resume(app, ask, pending).await?,
        None => {
            let fetched = match fetched {
                Some(fetched) => fetched,
                None => app.fetch_tag(&ask.name, &ask.tag).await.map_err(|source| ask.upstream(source))?,
            };
            let statement = statement(app, ask, &fetched);
            let found = consult(app, ask, records, &statement).await?;
            if let Some(known) = decides(ask, found, None)? {
                return serve(app, ask, &known, fetched, true, false, before).await;
            }
            let began = records.begin(&observation(app, ask, &fetched)?, &statement, None).await;
            match began.map_err(|error| unlogged(ask, before, error))? {
                (prepared, Appended::Pending(pending)) if pending.digest == fetched.digest => {
                    let just_now = pending.prepared == prepared.to_bytes();
                    Begun { fetched, is_current: true, pending, just_now }
                }
                (_, Appended::Pending(pending)) => resume(app, ask, pending).await?,
                (_, Appended::Existing(record)) => {
                    return recheck::settle(app, ask, record, fetched).await;
                }
                _ => return Err(Error::Internal),
            }
        }
    };
    let Begun { fetched, is_current, pending, just_now } = begun;
    let (submission, expected) = (observation(app, ask, &fetched)?, statement(app, ask, &fetched));
    let logged = records.log(&submission, pending, &expected).await;
    let own = logged.map_err(|error| unlogged(ask, before, error))?;
    // Whoever was earlier decides, even if the index did not have it before.
    let again = consult(app, ask, records, &own.statement).await?;
    let known = decides(ask, again, Some(Own { verified: own.clone(), just_now }))?.ok_or(Error::Internal)?;
    let first_seen = same(&known, &own);
    serve(app, ask, &known, fetched, is_current, first_seen, before).await
}

/// Goes on with what was about to be recorded when the process ended, or with what somebody else began.
async fn resume(app: &Arc<App>, ask: &Ask, pending: Pending) -> Result<Begun, Error> {
    let fetched = fetch(app, ask, pending.digest).await?;
    Ok(Begun { fetched, is_current: false, pending, just_now: false })
}

/// From our store, which keeps what was begun; else from upstream.
async fn fetch(app: &Arc<App>, ask: &Ask, digest: Sha256Digest) -> Result<FetchedManifest, Error> {
    if let Some(stored) = app.ledger.manifest(&ask.name, &digest).map_err(|source| ask.store(source))? {
        let manifest = oci::Manifest::validate(&stored.bytes, Some(stored.media_type.as_str()))
            .map_err(|source| ask.upstream(source.into()))?;
        return Ok(FetchedManifest { bytes: stored.bytes.clone(), digest, manifest, date: None });
    }
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

fn observation(app: &App, ask: &Ask, fetched: &FetchedManifest) -> Result<Submission, Error> {
    let media_type = fetched.manifest.media_type;
    let manifest = ManifestBytes::new(fetched.bytes.clone(), Some(media_type.as_str()))
        .map_err(|source| ask.upstream(source.into()))?;
    Ok(Submission::Record(Observation {
        freeze: true,
        name: ask.name.clone(),
        tag: ask.tag.clone(),
        manifest,
        upstream_date: fetched.date,
        client: Some(ask.client),
        upstream: app.upstream.label(ask.name.host()).to_owned(),
    }))
}

async fn consult(app: &App, ask: &Ask, records: &Records, candidate: &Statement) -> Result<Consulted, Error> {
    let found = records.consult(candidate).await.map_err(|source| ask.evidence(source))?;
    // Rekor is all that such a service remembers by: what cannot be asked is not "never recorded".
    if app.config.ephemeral && !found.searched {
        tracing::error!(reference = %ask.reference(), "Rekor has no index that could be asked, and there is no disk");
        return Err(Error::Unsearched { reference: ask.reference() });
    }
    Ok(found)
}

fn decides(ask: &Ask, found: Consulted, own: Option<Own>) -> Result<Option<Verified>, Error> {
    let reference = ask.reference();
    decided(&reference, found, own).map_err(|entry| Error::Contradicted { reference, entry })
}

fn unlogged(ask: &Ask, before: Option<&Arc<Recorded>>, error: Unlogged) -> Error {
    match error {
        Unlogged::Sigstore(source) => ask.evidence(source),
        Unlogged::Append(source) => ask.not_recorded(before.is_some(), source),
    }
}

/// Records what Rekor has, and only then looks at what upstream serves: `fetched`, if that `is_current`.
async fn serve(
    app: &Arc<App>,
    ask: &Ask,
    known: &Verified,
    fetched: FetchedManifest,
    is_current: bool,
    first_seen: bool,
    before: Option<&Arc<Recorded>>,
) -> Result<Served, Error> {
    let digest = known.statement.digest;
    if !first_seen {
        let (uuid, signed) = (&known.entry.uuid, known.signature_verified);
        tracing::info!(reference = %ask.reference(), %digest, %uuid, signed, "adopting a record of Rekor");
    }
    let bytes = if digest == fetched.digest { fetched.clone() } else { fetch(app, ask, digest).await? };
    let (media_type, size) = (bytes.manifest.media_type.as_str(), bytes.bytes.len() as u64);
    let evidence = document(known, &ask.name, media_type, size);
    if is_current && digest == fetched.digest {
        let served = first_sight::append(app, ask, fetched, true, before, Some(evidence)).await?;
        return Ok(Served { first_seen: served.first_seen && first_seen, ..served });
    }
    let record = append(app, ask, &bytes, before, evidence).await?;
    if is_current {
        recheck::settle(app, ask, record, fetched).await
    } else {
        // Upstream may have moved it since it was begun.
        recheck::against_upstream(app, ask, TagKey::of(&ask.name, &ask.tag), record).await
    }
}

async fn append(
    app: &App,
    ask: &Ask,
    bytes: &FetchedManifest,
    before: Option<&Arc<Recorded>>,
    evidence: Evidence,
) -> Result<Arc<Recorded>, Error> {
    let submission = Box::new(observation(app, ask, bytes)?);
    let appended = app.ledger.append(Submission::Evidenced { submission, evidence }).await;
    match appended.map_err(|source| ask.not_recorded(before.is_some(), source))? {
        Appended::Recorded(record) | Appended::Existing(record) => Ok(record),
        _ => Err(Error::Internal),
    }
}
