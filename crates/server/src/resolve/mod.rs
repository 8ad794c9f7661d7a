//! The pipeline: a tag or digest in, stored bytes or a refusal out.
//!
//! Order, as `docs/request-handling.md` states it: look the record up, ask upstream, compare,
//! append, answer. Runs in a task of its own, once per tag at a time, so that a client who hangs
//! up cancels no append. Knows no HTTP.

mod age;
pub(crate) mod by_digest;
mod dry_run;
mod first_sight;
mod flights;
mod freshness;
mod publicly;
mod recheck;
mod verdict;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger::{AppendError, Recorded};
use oci::{Digest, ManifestType, Name, Sha256Digest, Tag};
use taglog::TagKey;

use self::dry_run::Refusal;
pub(crate) use self::flights::Flights;
pub(crate) use self::freshness::Freshness;
pub(crate) use self::recheck::is_gone;
use self::verdict::Pinned;
use crate::app::App;
use crate::error::{Error, RecordHead, What};
use crate::policy::{Action, Decision};

/// A pull by tag.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) name: Name,
    pub(crate) tag: Tag,
    pub(crate) decision: Decision,
    /// Whose budget a new record counts against.
    pub(crate) client: IpAddr,
}

/// What a flight is about: a tag, for all who ask; or for one client alone, whose budget counts.
pub(crate) type Question = (TagKey, Option<IpAddr>);

/// What a client gets.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) digest: Digest,
    pub(crate) manifest: Manifest,
    /// When the log first had a digest that was asked for by itself, in Unix seconds, where it did.
    pub(crate) since: Option<u64>,
    /// The record that the answer stands on; none for digests and for tags that pass through.
    pub(crate) record: Option<Arc<RecordHead>>,
    pub(crate) first_seen: bool,
    pub(crate) warning: Option<String>,
    pub(crate) by_digest: bool,
    /// What upstream serves instead, where the record is served all the same.
    pub(crate) moved_to: Option<Sha256Digest>,
}

/// Bytes and their type.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: ManifestType,
}

/// Resolves a tag. Where a policy demands witnesses, no record is served before they have cosigned it.
pub(crate) async fn tag(app: &Arc<App>, mut ask: Ask) -> Result<Served, Error> {
    let denied = ask.decision.action == Action::Deny;
    if denied && dry_run::spares(app, &ask, Refusal::Denied) {
        // Recorded all the same: what a rule that is only tried out lets through is not less checked.
        ask.decision.action = Action::Observe;
    }
    let served = resolved(app, &ask).await?;
    if let Some(record) = served.record.as_ref().filter(|record| record.index >= app.before_policy) {
        let covered = app.ledger.wait_until_published(record.index, app.cover_timeout).await;
        covered.map_err(|source| Error::NotRecorded {
            subject: ask.reference(),
            known: true,
            source: Arc::new(source),
        })?;
    }
    let mut served = age::old_enough(app, &ask, served).await?;
    if denied {
        served.warning = Some(format!("dry run: {} would deny this tag", ask.decision.reason));
    }
    Ok(served)
}

/// What the record or upstream says.
async fn resolved(app: &Arc<App>, ask: &Ask) -> Result<Served, Error> {
    let key = TagKey::of(&ask.name, &ask.tag);
    let record = app.lookup(&key, ask)?;
    // A frozen tag stays frozen whatever the configuration says later.
    match ask.decision.action {
        Action::Deny => {
            let reference = ask.reference();
            return Err(Error::DeniedByPolicy { reference, rule: ask.decision.reason.to_string() });
        }
        Action::Pass if !record.as_ref().is_some_and(|record| record.is_frozen()) => {
            return pass(app, ask).await;
        }
        Action::Freeze | Action::Observe | Action::Follow | Action::Pass => {}
    }
    if let Some(record) = &record
        && app.freshness.is_fresh(&key, Instant::now())
        && !verdict::wants_freezing(pinned(app, ask, record)?, ask.decision.action)
    {
        return recorded(app, ask, record, None).await;
    }
    let fly = |of| {
        app.flights.join(&(key, of), || {
            let (app, ask) = (Arc::clone(app), ask.clone());
            async move { check(&app, &ask, key).await }
        })
    };
    let Some((flight, shared)) = fly(None) else {
        return match &record {
            Some(record) => {
                let warning = format!("too many checks are under way; {}", as_recorded(record));
                recorded(app, ask, record, Some(warning)).await
            }
            None => Err(too_many(ask)),
        };
    };
    if shared {
        app.metrics.shared();
    }
    let outcome = match &record {
        None => match flight.await {
            // The budget was that of whoever asked first; who only shared the question has one of its own.
            Some(Err(error)) if shared && error.is_a_clients_budget() => match fly(Some(ask.client)) {
                Some((flight, _)) => flight.await,
                None => Some(Err(too_many(ask))),
            },
            outcome => outcome,
        },
        // The check goes on, and records what it finds; this pull does not wait for it.
        Some(record) => match tokio::time::timeout(app.config.recheck_timeout, flight).await {
            Ok(outcome) => outcome,
            Err(_late) => {
                let warning = format!("upstream did not answer in time; {}", as_recorded(record));
                return recorded(app, ask, record, Some(warning)).await;
            }
        },
    };
    outcome.unwrap_or(Err(Error::Internal))
}

fn too_many(ask: &Ask) -> Error {
    let busy = AppendError::Busy { retry_after: Duration::from_secs(1) };
    ask.not_recorded(false, busy)
}

/// The task that all who ask for one tag share.
async fn check(app: &Arc<App>, ask: &Ask, key: TagKey) -> Result<Served, Error> {
    // Asked again: a flight that landed just before this one may have recorded the tag.
    match app.lookup(&key, ask)? {
        None => {
            let served = first_sight::record(app, ask).await?;
            // What was fetched just now is what upstream serves, unless the log had it otherwise meanwhile.
            if served.warning.is_none() {
                app.freshness.note(key, Instant::now());
            }
            Ok(served)
        }
        Some(record) => recheck::against_upstream(app, ask, key, record).await,
    }
}

/// A tag that is neither recorded nor checked.
async fn pass(app: &Arc<App>, ask: &Ask) -> Result<Served, Error> {
    let fetched = app.fetch_tag(&ask.name, &ask.tag).await.map_err(|source| ask.upstream(source))?;
    Ok(Served {
        digest: fetched.digest.into(),
        manifest: Manifest { bytes: fetched.bytes, media_type: fetched.manifest.media_type },
        record: None,
        first_seen: false,
        warning: None,
        by_digest: false,
        since: None,
        moved_to: None,
    })
}

/// The record's own bytes, from our store.
///
/// A store that was rebuilt from a log has records without bytes; those are had by digest, which says what they
/// must be.
async fn recorded(
    app: &Arc<App>,
    ask: &Ask,
    record: &Arc<Recorded>,
    warning: Option<String>,
) -> Result<Served, Error> {
    let stored = app.ledger.manifest(&ask.name, &record.digest()).map_err(|source| ask.store(source))?;
    let manifest = match stored {
        Some(stored) => {
            app.metrics.stored(true);
            Manifest { bytes: stored.bytes.clone(), media_type: stored.media_type }
        }
        None => by_digest::manifest(app, &ask.name, record.digest().into()).await?.manifest,
    };
    Ok(Served {
        digest: record.digest().into(),
        manifest,
        record: Some(Arc::new(head(app, ask, record))),
        first_seen: false,
        warning,
        by_digest: false,
        since: None,
        moved_to: None,
    })
}

fn head(app: &App, ask: &Ask, record: &Recorded) -> RecordHead {
    RecordHead {
        logged: app.evidence.as_ref().and_then(|evidence| evidence.of(record)),
        name: ask.name.clone(),
        tag: ask.tag.clone(),
        digest: record.digest(),
        index: record.index(),
        leaf_hash: record.leaf_hash(),
        time: record.time(),
    }
}

/// What the log holds. Whether an observed tag was frozen before is asked only where that makes a difference.
fn pinned(app: &App, ask: &Ask, record: &Recorded) -> Result<Pinned, Error> {
    let (digest, frozen) = (record.digest(), record.is_frozen());
    let matters = !frozen && ask.decision.action == Action::Freeze;
    let thawed = matters && app.ledger.was_frozen(record.key()).map_err(|source| ask.store(source))?;
    Ok(Pinned { digest, frozen, thawed })
}

fn as_recorded(record: &Recorded) -> String {
    format!("served as recorded in log entry {}", record.index())
}

impl Ask {
    pub(crate) fn reference(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    fn upstream(&self, source: upstream::Error) -> Error {
        Error::Upstream { what: What::Manifest, subject: self.reference(), source: Arc::new(source) }
    }

    pub(crate) fn store(&self, source: ledger::Error) -> Error {
        let subject = self.reference();
        tracing::error!(reference = %subject, error = %source, "a record cannot be read");
        Error::Store { subject, source: Arc::new(source) }
    }

    fn evidence(&self, source: sigstore::Error) -> Error {
        let subject = self.reference();
        tracing::warn!(reference = %subject, error = %source, "a tag could not be recorded in public");
        Error::Evidence { subject, source: Arc::new(source) }
    }

    fn not_recorded(&self, known: bool, source: AppendError) -> Error {
        let subject = self.reference();
        tracing::warn!(reference = %subject, error = %source, "a tag could not be recorded");
        Error::NotRecorded { subject, known, source: Arc::new(source) }
    }
}
