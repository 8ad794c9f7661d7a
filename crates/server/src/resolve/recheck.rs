//! A recorded tag: ask upstream what it serves now, and compare.
//!
//! An upstream that cannot answer, or answers nonsense, never makes a tag "moved" and never keeps
//! a recorded one from being served.

use std::sync::Arc;
use std::time::Instant;

use ledger::{AppendError, Recorded, Submission};
use oci::ManifestSelector;
use taglog::TagKey;
use upstream::{ErrorKind, FetchedManifest};

use super::dry_run::Refusal;
use super::verdict::{Pinned, Verdict, verdict, wants_freezing};
use super::{Ask, Served, as_recorded, dry_run, first_sight, head, pinned, publicly, recorded};
use crate::app::App;
use crate::error::{Error, Moved};
use crate::policy::{OnGone, OnMove};

/// What upstream serves now.
enum Look {
    /// The recorded digest, by its own word in answer to a HEAD.
    Same,
    /// These bytes, hashed by us.
    Bytes(FetchedManifest),
}

/// Checks a record against upstream and serves accordingly.
pub(super) async fn against_upstream(
    app: &Arc<App>,
    ask: &Ask,
    key: TagKey,
    record: Arc<Recorded>,
) -> Result<Served, Error> {
    let pinned = pinned(app, ask, &record)?;
    match look(app, ask, pinned).await {
        Ok(Look::Same) => {
            app.freshness.note(key, Instant::now());
            recorded(app, ask, &record, None).await
        }
        Ok(Look::Bytes(fetched)) => {
            if fetched.digest == record.digest() {
                app.freshness.note(key, Instant::now());
            } else {
                app.freshness.forget(&key);
            }
            settle(app, ask, record, fetched).await
        }
        Err(error) => match error.kind() {
            _ if is_gone(&error) => gone(app, ask, &record).await,
            ErrorKind::Denied { had_credentials: true } => Err(ask.upstream(error)),
            _ => {
                tracing::warn!(reference = %ask.reference(), %error, "upstream could not be asked; serving the record");
                let warning = format!("upstream could not be asked ({error}); {}", as_recorded(&record));
                recorded(app, ask, &record, Some(warning)).await
            }
        },
    }
}

/// HEAD is free of charge on registries that count pulls; only a difference is worth a GET.
/// An observed tag that has to be frozen needs the bytes as well.
async fn look(app: &App, ask: &Ask, pinned: Pinned) -> Result<Look, upstream::Error> {
    let selector = ManifestSelector::Tag(ask.tag.clone());
    if !wants_freezing(pinned, ask.decision.action) {
        match app.head_tag(&ask.name, &selector).await {
            Ok(said) if said.digest == Some(pinned.digest.into()) => return Ok(Look::Same),
            Ok(_) => {}
            // Some registries answer HEAD as if nothing were there; to say that a tag was withdrawn takes a GET.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Look::Bytes(app.fetch_tag(&ask.name, &ask.tag).await?))
}

/// Acts on the verdict about bytes that upstream served.
pub(super) async fn settle(
    app: &Arc<App>,
    ask: &Ask,
    record: Arc<Recorded>,
    fetched: FetchedManifest,
) -> Result<Served, Error> {
    match verdict(Some(pinned(app, ask, &record)?), ask.decision.action, fetched.digest) {
        Verdict::Same => recorded(app, ask, &record, None).await,
        Verdict::FirstSeen { freeze } => {
            Box::pin(first_sight::append(app, ask, fetched, freeze, None, None)).await
        }
        Verdict::FreezeNow => Box::pin(freeze(app, ask, &record, fetched)).await,
        // What was begun in public is finished whatever the policy says now.
        Verdict::Changed if first_sight::in_public(app, ask)?.is_some() => {
            Box::pin(freeze(app, ask, &record, fetched)).await
        }
        Verdict::Changed => {
            app.metrics.moved(false, false);
            let appended = Box::pin(first_sight::append(app, ask, fetched, false, Some(&record), None)).await;
            unless_begun(app, ask, &record, appended).await
        }
        Verdict::Moved => moved(app, ask, &record, fetched).await,
    }
}

/// An observed tag that is to be frozen, in public where its records are. What is recorded needs nobody else to answer: while
/// that cannot be done it stays as it is.
async fn freeze(
    app: &Arc<App>,
    ask: &Ask,
    record: &Arc<Recorded>,
    fetched: FetchedManifest,
) -> Result<Served, Error> {
    let Some(records) = first_sight::in_public(app, ask)? else {
        let appended = first_sight::append(app, ask, fetched, true, Some(record), None).await;
        return unless_begun(app, ask, record, appended).await;
    };
    match publicly::record(app, ask, records, Some(fetched), Some(record)).await {
        Err(Error::Evidence { .. } | Error::Unsearched { .. }) => {
            let why = "this tag is to be frozen, which cannot be logged in public now";
            recorded(app, ask, record, Some(format!("{why}; {}", as_recorded(record)))).await
        }
        outcome => outcome,
    }
}

/// A tag that was to be frozen in public when that was still configured, and was not finished, stays as it is recorded.
async fn unless_begun(
    app: &Arc<App>,
    ask: &Ask,
    record: &Arc<Recorded>,
    outcome: Result<Served, Error>,
) -> Result<Served, Error> {
    match outcome {
        Err(Error::NotRecorded { source, .. }) if matches!(*source, AppendError::Begun { .. }) => {
            recorded(app, ask, record, Some(format!("{source}; {}", as_recorded(record)))).await
        }
        outcome => outcome,
    }
}

/// A frozen tag at another digest. The leaf is evidence; the answer does not wait for it.
async fn moved(
    app: &Arc<App>,
    ask: &Ask,
    record: &Arc<Recorded>,
    fetched: FetchedManifest,
) -> Result<Served, Error> {
    let refusable = ask.decision.on_move == OnMove::Refuse;
    let refuse = refusable && !ask.decision.is_dry_run();
    app.metrics.moved(true, refuse);
    tracing::warn!(
        reference = %ask.reference(),
        recorded = %record.digest(),
        upstream = %fetched.digest,
        index = record.index(),
        refused = refuse,
        "a frozen tag has moved upstream"
    );
    if refusable && dry_run::spares(app, ask, Refusal::Moved) {
        return dry_run::moved(app, ask, record, fetched).await;
    }
    keep_evidence(app, ask, record, &fetched);
    if refuse {
        let record = head(app, ask, record);
        return Err(Error::Moved(Box::new(Moved { record, seen: fetched.digest })));
    }
    let warning = format!("upstream moved this tag to {}; {}", fetched.digest, as_recorded(record));
    let served = recorded(app, ask, record, Some(warning)).await?;
    Ok(Served { moved_to: Some(fetched.digest), ..served })
}

pub(super) fn evidence(ask: &Ask, record: &Recorded, fetched: &FetchedManifest) -> Submission {
    Submission::Moved {
        name: ask.name.clone(),
        tag: ask.tag.clone(),
        recorded: record.digest(),
        seen: fetched.digest,
        upstream_date: fetched.date,
    }
}

fn keep_evidence(app: &Arc<App>, ask: &Ask, record: &Recorded, fetched: &FetchedManifest) {
    let submission = evidence(ask, record, fetched);
    let (app, reference) = (Arc::clone(app), ask.reference());
    tokio::spawn(async move {
        if let Err(error) = app.ledger.append(submission).await {
            tracing::warn!(%reference, %error, "the move was refused to the client, and could not be recorded");
        }
    });
}

/// Whether upstream says that the tag is not there, or not for us.
pub(crate) fn is_gone(error: &upstream::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Denied { had_credentials: false })
}

async fn gone(app: &Arc<App>, ask: &Ask, record: &Arc<Recorded>) -> Result<Served, Error> {
    if ask.decision.on_gone == OnGone::Refuse && !dry_run::spares(app, ask, Refusal::Gone) {
        return Err(Error::Gone(Box::new(head(app, ask, record))));
    }
    let warning = format!("upstream no longer has this tag; {}", as_recorded(record));
    recorded(app, ask, record, Some(warning)).await
}
