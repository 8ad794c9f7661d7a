//! The log for clients that trust nobody: checkpoint, tiles, entry bundles, key, and tag proofs.
//!
//! C2SP tlog-tiles under `/log`, tag proofs under `/proof/<reference>`. Everything served here is
//! covered by the published checkpoint. Knows no policy.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};
use http::{Method, Response};
use ledger::{Ledger, Published, Recorded};
use oci::{Name, Reference, Selector, TagName};
use tlog::{EntriesId, TileId};

use crate::app::App;
use crate::edge::body::{Body, full};
use crate::edge::respond::{IMMUTABLE, NO_CACHE};
use crate::error::Error;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// At which checkpoint a question is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum At {
    /// The published one.
    Newest,
    /// The newest that enough witnesses have cosigned: older, where none of them is waited for.
    Cosigned,
    /// The newest that enough auditors have cosigned.
    Audited,
}

impl At {
    /// By the query of a request.
    pub(crate) fn of_query(query: Option<&str>) -> Self {
        match query {
            Some("cosigned") => Self::Cosigned,
            Some("audited") => Self::Audited,
            _ => Self::Newest,
        }
    }
}

/// `GET /log/<path>`.
pub(crate) fn log(app: &App, method: &Method, path: &str, at: At) -> Result<Response<Body>, Error> {
    if let Some(name) = path.strip_prefix("tags/") {
        return repository(app, method, name, at);
    }
    if let Some(index) = path.strip_prefix("proof/") {
        return entry(app, method, index);
    }
    match path {
        "checkpoint" => {
            let published = published(app, "the checkpoint", at)?;
            Ok(answer(method, TEXT, NO_CACHE, published.note.to_string()))
        }
        "vkey" => Ok(answer(method, TEXT, NO_CACHE, format!("{}\n", app.ledger.verifier_key()))),
        _ => tile(&app.ledger, method, path),
    }
}

/// `GET /proof/<reference>`: what the log says of a tag at a checkpoint, present or absent.
pub(crate) fn proof(app: &App, method: &Method, reference: &str, at: At) -> Result<Response<Body>, Error> {
    let tag = tag_name(reference)?;
    let subject = tag.to_string();
    let published = published(app, &subject, at)?;
    let text = app.ledger.tag_proof_at(&published, &tag).map_err(|source| unprovable(&subject, source))?;
    Ok(answer(method, TEXT, NO_CACHE, text))
}

/// `GET /log/tags/<host>/<repository>`: the same of all tags of a repository.
fn repository(app: &App, method: &Method, name: &str, at: At) -> Result<Response<Body>, Error> {
    let name = Name::canonicalize(name).map_err(|error| Error::BadRequest { message: error.to_string() })?;
    let subject = name.to_string();
    let published = published(app, &subject, at)?;
    let text = app.ledger.repository_proof_at(&published, &name);
    let text = text.map_err(|source| unprovable(&subject, source))?;
    Ok(answer(method, TEXT, NO_CACHE, text))
}

/// `GET /log/proof/<index>`: that this leaf, which is its `extra`, is in the published log.
fn entry(app: &App, method: &Method, index: &str) -> Result<Response<Body>, Error> {
    let not_found = || Error::NotFound { what: format!("/log/proof/{index}") };
    let number = tlog::decimal(index).ok_or_else(not_found)?;
    let subject = format!("leaf {number}");
    let text = app.ledger.entry_proof(number).map_err(|source| unprovable(&subject, source))?;
    Ok(answer(method, TEXT, NO_CACHE, text.ok_or_else(not_found)?))
}

/// The published checkpoint, or the newest that enough witnesses, or auditors, have cosigned.
fn published(app: &App, subject: &str, at: At) -> Result<Arc<Published>, Error> {
    let (cosigned, whose) = match at {
        At::Newest => return app.ledger.published().map_err(|source| unprovable(subject, source)),
        At::Cosigned => (app.ledger.cosigned(), "witnesses"),
        At::Audited => (app.ledger.audited(), "auditors"),
    };
    let none = || Error::NotFound { what: format!("a checkpoint that enough {whose} have cosigned") };
    cosigned.ok_or_else(none)
}

/// Whether a page may say that the log has `record` of a tag, or none: only what `/proof` shows as well.
pub(crate) fn shown(app: &App, tag: &TagName, record: Option<&Recorded>) -> Result<(), Error> {
    let subject = tag.to_string();
    match record {
        Some(record) => match app.ledger.published() {
            Ok(published) if record.index() < published.size => Ok(()),
            _ => Err(Error::NotYetPublished { subject }),
        },
        None => app.ledger.tag_proof(tag).map(drop).map_err(|source| unprovable(&subject, source)),
    }
}

fn unprovable(subject: &str, source: ledger::Error) -> Error {
    let subject = subject.to_owned();
    match source {
        ledger::Error::NotYetPublished { .. } | ledger::Error::NothingPublished | ledger::Error::Held => {
            Error::NotYetPublished { subject }
        }
        ledger::Error::ReadOnly(source) => Error::Unprovable { subject, source },
        ledger::Error::TooManyTags(_) => Error::BadRequest { message: source.to_string() },
        source => {
            tracing::error!(reference = %subject, error = %source, "a proof cannot be made");
            Error::Store { subject, source: Arc::new(source) }
        }
    }
}

/// A reference as people write it, which has to name a tag.
pub(crate) fn tag_name(reference: &str) -> Result<TagName, Error> {
    let bad = |message: String| Error::BadRequest { message };
    let parsed = Reference::parse(reference).map_err(|error| bad(error.to_string()))?;
    match parsed.selector {
        Selector::Tag(tag) | Selector::TagAndDigest(tag, _) => Ok(TagName { name: parsed.name, tag }),
        Selector::Digest(_) => {
            Err(bad(format!("`{reference}` names a digest, which needs no record; ask for a tag")))
        }
    }
}

fn tile(ledger: &Ledger, method: &Method, path: &str) -> Result<Response<Body>, Error> {
    let not_found = || Error::NotFound { what: format!("/log/{path}") };
    let store = |source: ledger::Error| unprovable(&format!("/log/{path}"), source);
    let bytes = if path.starts_with("tile/entries/") {
        let id: EntriesId = path.parse().map_err(|_not_a_path| not_found())?;
        ledger.entries(id)
    } else {
        let id: TileId = path.parse().map_err(|_not_a_path| not_found())?;
        ledger.tile(id)
    };
    let bytes = bytes.map_err(store)?;
    let bytes = bytes.ok_or_else(not_found)?;
    let etag = format!("\"{}\"", tlog::Hash::of(&bytes).to_hex());
    let mut response = answer(method, OCTETS, IMMUTABLE, bytes);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

fn answer(
    method: &Method,
    content_type: HeaderValue,
    cache: HeaderValue,
    body: impl Into<bytes::Bytes>,
) -> Response<Body> {
    let body = body.into();
    let length = body.len();
    let mut response = Response::new(full(if method == Method::HEAD { bytes::Bytes::new() } else { body }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
