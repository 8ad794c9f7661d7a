//! `min_age`: a digest is served once the log has known it for long enough.
//!
//! Counts from the first record of that digest for that tag. What an operator recorded by hand was looked at by a
//! person and does not wait. Pulls by digest do not wait either: who names a digest has decided.

use std::sync::Arc;

use ledger::Entry;
use oci::{Digest, Sha256Digest};
use taglog::{Leaf, TagKey};

use super::dry_run::{self, Refusal};
use super::{Ask, Manifest, Served};
use crate::app::App;
use crate::error::{Error, RecordHead, Young};
use crate::policy::OnYoung;

/// A digest that the log has of a tag.
struct Known {
    digest: Sha256Digest,
    /// Unix seconds of its first record.
    since: u64,
    /// Whether an operator recorded it.
    vetted: bool,
    /// The record that speaks of it last.
    head: RecordHead,
}

/// Passes on what is old enough, and settles what is not.
pub(super) async fn old_enough(app: &Arc<App>, ask: &Ask, served: Served) -> Result<Served, Error> {
    let (Some(min_age), Some(record)) = (ask.decision.min_age, served.record.clone()) else {
        return Ok(served);
    };
    // A move that a dry run served: the record is not what the client gets.
    if served.digest != Digest::from(record.digest) {
        return Ok(served);
    }
    let (now, min_age) = (app.now(), min_age.as_secs());
    if record.time.saturating_add(min_age) <= now {
        return Ok(served);
    }
    let key = TagKey::of(&ask.name, &ask.tag);
    let known = known(app, ask, &app.ledger.history(&key).map_err(|source| ask.store(source))?);
    let is_old = |known: &Known| known.vetted || known.since.saturating_add(min_age) <= now;
    let current = known.iter().find(|known| known.digest == record.digest);
    if current.is_some_and(is_old) {
        return Ok(served);
    }
    if ask.decision.on_young == OnYoung::ServeOld {
        for old in known.iter().rev().filter(|known| known.digest != record.digest && is_old(known)) {
            let stored = app.ledger.manifest(&ask.name, &old.digest).map_err(|source| ask.store(source))?;
            let Some(stored) = stored else { continue };
            return Ok(Served {
                digest: old.digest.into(),
                manifest: Manifest { bytes: stored.bytes.clone(), media_type: stored.media_type },
                record: Some(Arc::new(old.head.clone())),
                first_seen: false,
                warning: Some(format!(
                    "this tag is {} now, which is too young to be served; served as of log entry {}",
                    record.digest, old.head.index
                )),
                by_digest: false,
                since: None,
                moved_to: Some(record.digest),
            });
        }
    }
    // Only now it is a refusal: with an older digest at hand nothing would have been refused.
    if dry_run::spares(app, ask, Refusal::Young) {
        let warning = format!("dry run: {} was first seen less than {min_age} s ago", record.digest);
        return Ok(Served { warning: Some(warning), ..served });
    }
    let since = current.map_or(record.time, |current| current.since);
    Err(Error::Young(Box::new(Young {
        record: RecordHead::clone(&record),
        since,
        from: since.saturating_add(min_age),
    })))
}

/// Each digest that the tag had, in the order in which it had it last.
fn known(app: &App, ask: &Ask, history: &[Entry]) -> Vec<Known> {
    let mut all: Vec<Known> = Vec::new();
    for entry in history {
        let (digest, time, vetted) = match &entry.leaf {
            Leaf::Tag(record) | Leaf::Seen(record) => (record.digest, record.time, false),
            Leaf::Supersede { new, time, .. } => (*new, *time, true),
            Leaf::Thaw { digest, time, .. } => (*digest, *time, false),
            _ => continue,
        };
        let before = all.iter().position(|known| known.digest == digest).map(|place| all.remove(place));
        all.push(Known {
            digest,
            since: before.as_ref().map_or(time, |before| before.since),
            vetted: vetted || before.is_some_and(|before| before.vetted),
            head: RecordHead {
                logged: app.evidence.as_ref().and_then(|evidence| evidence.at(entry)),
                name: ask.name.clone(),
                tag: ask.tag.clone(),
                digest,
                index: entry.index,
                leaf_hash: entry.leaf_hash,
                time,
            },
        });
    }
    all
}
