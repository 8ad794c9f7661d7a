//! `mode = "dry-run"`: what would have been refused is logged and counted, and served with a warning.
//!
//! Nothing is served unrecorded here either: upstream's new digest of a frozen tag becomes durable evidence first.

use std::sync::Arc;

use ledger::{Appended, NotRecorded, Recorded};
use upstream::FetchedManifest;

use super::{Ask, Manifest, Served, as_recorded, head, recheck, recorded};
use crate::app::App;
use crate::error::Error;

/// What would have been refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// A `deny` rule.
    Denied,
    /// A frozen tag that upstream moved.
    Moved,
    /// A recorded tag that upstream removed.
    Gone,
    /// A digest younger than `min_age`.
    Young,
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Moved => "moved",
            Self::Gone => "gone",
            Self::Young => "young",
        }
    }
}

/// Whether a refusal is only told; if so it is logged and counted.
pub(super) fn spares(app: &App, ask: &Ask, refusal: Refusal) -> bool {
    let spared = ask.decision.is_dry_run();
    if spared {
        app.metrics.spared(refusal.as_str());
        tracing::warn!(
            reference = %ask.reference(),
            rule = %ask.decision.reason,
            why = refusal.as_str(),
            "dry run: this pull would have been refused"
        );
    }
    spared
}

/// A frozen tag that moved: upstream's manifest, once the move is durable; else what is recorded.
pub(super) async fn moved(
    app: &Arc<App>,
    ask: &Ask,
    record: &Arc<Recorded>,
    fetched: FetchedManifest,
) -> Result<Served, Error> {
    let seen = fetched.digest;
    let kept = app.ledger.append(recheck::evidence(ask, record, &fetched)).await;
    match kept {
        Ok(Appended::Evidence { .. } | Appended::NotRecorded(NotRecorded::Already)) => Ok(Served {
            digest: seen.into(),
            manifest: Manifest { bytes: fetched.bytes, media_type: fetched.manifest.media_type },
            record: Some(Arc::new(head(app, ask, record))),
            first_seen: false,
            warning: Some(format!(
                "dry run: this tag moved and would be refused; log entry {} has {}",
                record.index(),
                record.digest()
            )),
            by_digest: false,
            since: None,
            moved_to: Some(seen),
        }),
        unrecorded => {
            if let Err(error) = unrecorded {
                tracing::warn!(reference = %ask.reference(), %error, "a move could not be recorded; serving the record");
            }
            let warning = format!(
                "upstream moved this tag to {seen}, which cannot be recorded now; {}",
                as_recorded(record)
            );
            let served = recorded(app, ask, record, Some(warning)).await?;
            Ok(Served { moved_to: Some(seen), ..served })
        }
    }
}
