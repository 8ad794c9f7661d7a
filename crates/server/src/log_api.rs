//! The log for clients that trust nobody: checkpoint, tiles, entry bundles, key, and tag proofs.
//!
//! C2SP tlog-tiles under `/log`, tag proofs under `/proof/<reference>`. Everything served here is
//! covered by the published checkpoint. Knows no policy.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};
use http::{Method, Response};
use ledger::Ledger;
use oci::{Name, Reference, Selector, TagName};
use tlog::{EntriesId, TileId};

use crate::app::App;
use crate::edge::body::{Body, full};
use crate::edge::respond::{IMMUTABLE, NO_CACHE};
use crate::error::Error;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// `GET /log/<path>`.
pub(crate) fn log(app: &App, method: &Method, path: &str) -> Result<Response<Body>, Error> {
    match path {
        "checkpoint" => Ok(answer(method, TEXT, NO_CACHE, app.ledger.published().note.to_string())),
        "vkey" => Ok(answer(method, TEXT, NO_CACHE, format!("{}\n", app.ledger.verifier_key()))),
        _ => tile(&app.ledger, method, path),
    }
}

/// `GET /proof/<reference>`: what the published log says of a tag, present or absent; with `*` for the tag, of all
/// tags of a repository.
pub(crate) fn proof(app: &App, method: &Method, reference: &str) -> Result<Response<Body>, Error> {
    let (subject, made) = match reference.strip_suffix(":*") {
        Some(repository) => {
            let name = Name::canonicalize(repository)
                .map_err(|error| Error::BadRequest { message: error.to_string() })?;
            (format!("{name}:*"), app.ledger.repository_proof(&name))
        }
        None => {
            let tag = tag_name(reference)?;
            (tag.to_string(), app.ledger.tag_proof(&tag))
        }
    };
    let text = made.map_err(|source| match source {
        ledger::Error::NotYetPublished { .. } => Error::NotYetPublished { subject: subject.clone() },
        source => {
            tracing::error!(reference = %subject, error = %source, "a proof cannot be made");
            Error::Store { subject: subject.clone(), source: std::sync::Arc::new(source) }
        }
    })?;
    Ok(answer(method, TEXT, NO_CACHE, text))
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
    let store = |source: ledger::Error| {
        tracing::error!(path, error = %source, "a tile cannot be read");
        Error::Store { subject: format!("/log/{path}"), source: std::sync::Arc::new(source) }
    };
    let bytes = if path.starts_with("tile/entries/") {
        let id: EntriesId = path.parse().map_err(|_not_a_path| not_found())?;
        ledger.entries(id).map_err(store)?
    } else {
        let id: TileId = path.parse().map_err(|_not_a_path| not_found())?;
        ledger.tile(id).map_err(store)?
    };
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
