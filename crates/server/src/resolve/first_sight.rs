//! A tag that the log does not know: fetch, hash, record, and only then serve.
//!
//! Where records are logged in public as well, `publicly` goes before the append.

use std::sync::Arc;
use std::time::Instant;

use ledger::{Appended, Evidence, ManifestBytes, Observation, Recorded, Submission};
use taglog::TagKey;

use super::verdict::{Verdict, verdict};
use super::{Ask, Manifest, Served, head, publicly, recheck};
use crate::app::App;
use crate::error::Error;
use crate::evidence::Records;
use crate::policy::Action;

/// Records what upstream serves for a tag that has no record.
pub(super) async fn record(app: &Arc<App>, ask: &Ask) -> Result<Served, Error> {
    app.metrics.stored(false);
    if let Some(records) = in_public(app, ask)? {
        return publicly::record(app, ask, records, None, None).await;
    }
    let fetched = app.fetch_tag(&ask.name, &ask.tag).await.map_err(|source| ask.upstream(source))?;
    let freeze =
        matches!(verdict(None, ask.decision.action, fetched.digest), Verdict::FirstSeen { freeze: true });
    append(app, ask, fetched, freeze, None, None).await
}

/// Where records of the tag are logged in public as well: what was begun there is finished whatever the policy says now.
pub(super) fn in_public<'a>(app: &'a App, ask: &Ask) -> Result<Option<&'a Arc<Records>>, Error> {
    let Some(records) = app.evidence.as_ref().filter(|_| app.config.publishes(ask.name.host())) else {
        return Ok(None);
    };
    let key = TagKey::of(&ask.name, &ask.tag);
    let wanted = ask.decision.action == Action::Freeze
        || app.ledger.pending(&key).map_err(|source| ask.store(source))?.is_some();
    Ok(wanted.then_some(records))
}

/// Appends a record of what was fetched and serves it; whoever recorded the tag first wins.
///
/// `before` is the record that an observed tag has already; `evidence` is kept with the one that is made.
pub(super) async fn append(
    app: &Arc<App>,
    ask: &Ask,
    fetched: upstream::FetchedManifest,
    freeze: bool,
    before: Option<&Arc<Recorded>>,
    evidence: Option<Evidence>,
) -> Result<Served, Error> {
    let started = Instant::now();
    let media_type = fetched.manifest.media_type;
    let manifest = ManifestBytes::new(fetched.bytes.clone(), Some(media_type.as_str()))
        .map_err(|source| ask.upstream(source.into()))?;
    let submission = Submission::Record(Observation {
        freeze,
        name: ask.name.clone(),
        tag: ask.tag.clone(),
        manifest,
        upstream_date: fetched.date,
        client: Some(ask.client),
        upstream: app.upstream.label(ask.name.host()).to_owned(),
    });
    let submission = match evidence {
        Some(evidence) => Submission::Evidenced { submission: Box::new(submission), evidence },
        None => submission,
    };
    let known = before.is_some();
    let appended = app.ledger.append(submission).await.map_err(|source| ask.not_recorded(known, source))?;
    let (record, made) = match appended {
        Appended::Recorded(record) => (record, true),
        Appended::Existing(record) => (record, false),
        Appended::Evidence { .. }
        | Appended::Kept
        | Appended::Pending(_)
        | Appended::Closed { .. }
        | Appended::NotRecorded(_) => return Err(Error::Internal),
    };
    if record.digest() != fetched.digest {
        // Recorded meanwhile by another way, such as an operator's command.
        return recheck::settle(app, ask, record, fetched).await;
    }
    if made {
        app.metrics.appended(started.elapsed());
        tracing::info!(reference = %ask.reference(), digest = %record.digest(), index = record.index(), "recorded");
    }
    let follows = ask.decision.action == Action::Follow;
    let changed =
        before.filter(|before| !follows && !record.is_frozen() && before.digest() != record.digest());
    Ok(Served {
        digest: record.digest().into(),
        manifest: Manifest { bytes: fetched.bytes, media_type },
        record: Some(Arc::new(head(app, ask, &record))),
        first_seen: made && !known,
        warning: changed.map(|before| {
            format!(
                "this tag is observed, not frozen: it was {} until now (log entry {})",
                before.digest(),
                before.index()
            )
        }),
        by_digest: false,
        since: None,
        moved_to: None,
    })
}
