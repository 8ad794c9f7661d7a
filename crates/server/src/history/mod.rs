//! What a tag was, and when: the open formats that ask for it, answered out of the log.
//!
//! Every entry is a leaf of the published log. Upstream is not asked: what was before anybody pulled here nobody can prove.

mod discover;
mod releases;
mod tag_history;
mod update_history;

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Response};
use ledger::{Entry, Ledger};
use oci::{ManifestType, Name, Sha256Digest, Tag};
use taglog::{Leaf, TagKey};

pub(crate) use self::discover::extensions;
pub(crate) use self::releases::releases;
pub(crate) use self::tag_history::tag_history;
pub(crate) use self::update_history::update_history;
use crate::app::App;
use crate::edge::body::{Body, full};
use crate::edge::respond::NO_CACHE;
use crate::error::Error;

/// A tag came to mean a digest.
struct Change {
    /// Leaf of the log.
    index: u64,
    /// Unix seconds.
    time: u64,
    digest: Sha256Digest,
    /// Type and bytes of the manifest, where the leaf says them: an operator's re-pin does not.
    manifest: Option<(ManifestType, u64)>,
}

impl Change {
    /// Leaves that changed nothing are none: evidence that upstream moved a frozen tag, and the end of freezing.
    fn of(entry: &Entry) -> Option<Self> {
        let at = |digest: &Sha256Digest, time: u64, manifest| Self {
            index: entry.index,
            time,
            digest: *digest,
            manifest,
        };
        match &entry.leaf {
            Leaf::Tag(record) | Leaf::Seen(record) => {
                Some(at(&record.digest, record.time, Some((record.media_type, record.size))))
            }
            Leaf::Supersede { new, time, .. } => Some(at(new, *time, None)),
            _ => None,
        }
    }
}

/// What the tag was, oldest first. An observed tag that a rule froze later without moving has one change for both leaves.
async fn changes(app: &App, name: &Name, tag: &Tag) -> Result<Vec<Change>, Error> {
    let key = TagKey::of(name, tag);
    let mut changes: Vec<Change> = Vec::new();
    let history = blocking(app, &format!("{name}:{tag}"), move |ledger| ledger.history(&key)).await?;
    for change in history.iter().filter_map(Change::of) {
        if changes.last().is_none_or(|before| before.digest != change.digest) {
            changes.push(change);
        }
    }
    Ok(changes)
}

/// A long history is read from disk.
async fn blocking<T: Send + 'static>(
    app: &App,
    subject: &str,
    read: impl FnOnce(&Ledger) -> Result<T, ledger::Error> + Send + 'static,
) -> Result<T, Error> {
    let ledger = app.ledger.clone();
    let read = tokio::task::spawn_blocking(move || read(&ledger)).await.map_err(|error| {
        tracing::error!(%error, "reading a history ended in a panic");
        Error::Internal
    })?;
    read.map_err(|source| match source {
        ledger::Error::NothingPublished => Error::NotYetPublished { subject: subject.to_owned() },
        ledger::Error::TooManyTags(_) => Error::BadRequest { message: source.to_string() },
        source => {
            tracing::error!(reference = %subject, error = %source, "a history cannot be read");
            Error::Store { subject: subject.to_owned(), source: Arc::new(source) }
        }
    })
}

fn answer(method: &Method, content_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let length = body.len();
    let mut response = Response::new(full(if method == Method::HEAD { Vec::new() } else { body }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    response
}

fn json(method: &Method, body: &impl serde::Serialize) -> Result<Response<Body>, Error> {
    let body = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "a history cannot be written as JSON");
        Error::Internal
    })?;
    Ok(answer(method, "application/json", body))
}
