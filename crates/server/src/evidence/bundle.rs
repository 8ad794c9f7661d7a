//! `/bundle/<reference>`: the Sigstore bundle of a tag's current record, for `cosign verify-blob-attestation --bundle`;
//! `/bundle/pae/<sha256>`: the one of a statement, by the hash that Rekor v2 has of it; `/bundle/checkpoint`: the newest one
//! of a checkpoint of our log.
//!
//! What fails its check is not shown. Shown where pages are, and by a service without a log, whose only proof they are.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Response};
use sigstore::referrer::BUNDLE_TYPE;
use taglog::{Leaf, TagKey};

use super::anchor::ANY;
use crate::app::App;
use crate::edge::body::{Body, full};
use crate::edge::respond::NO_CACHE;
use crate::error::Error;
use crate::log_api::tag_name;

/// A record of the original program: no bundle, for no signature is left of it.
const ORIGINAL_TYPE: &str = "application/vnd.tlogistry.rekor-entry.v1+json";

/// Answers with the document as it is kept.
pub(crate) fn bundle(app: &App, method: &Method, what: &str) -> Result<Response<Body>, Error> {
    let none = || Error::NotFound { what: format!("a bundle of `{what}`") };
    let records = app.evidence.as_ref().ok_or_else(none)?;
    let store = |source: ledger::Error| {
        tracing::error!(reference = %what, error = %source, "the evidence of a record cannot be read");
        Error::Store { subject: what.to_owned(), source: Arc::new(source) }
    };
    let newest = |id: &[u8; 32]| match app.ledger.evidenced_by(id).map_err(store)?.first() {
        Some(index) => app.ledger.entry(*index).map_err(store),
        None => Ok(None),
    };
    let entry = match (what.strip_prefix("pae/"), what) {
        (Some(hash), _) => {
            let id = oci::Sha256Digest::parse(&format!("sha256:{hash}")).map_err(|_why| none())?;
            newest(id.as_bytes())?
        }
        (None, "checkpoint") => newest(&ANY)?,
        (None, _) => {
            let tag = tag_name(what)?;
            let record = app.ledger.lookup(&TagKey::of(&tag.name, &tag.tag)).map_err(store)?;
            record.map(|record| record.entry().clone())
        }
    };
    let entry = entry.ok_or_else(none)?;
    let document = app.ledger.evidence(entry.index).map_err(store)?.ok_or_else(none)?;
    let kind = match entry.leaf {
        Leaf::Index { .. } => {
            let checked = records.sigstore.verify_anchor(app.ledger.origin(), &document);
            if let Err(error) = checked {
                tracing::error!(index = entry.index, %error, "the bundle of a checkpoint fails its check");
                return Err(none());
            }
            BUNDLE_TYPE
        }
        _ if records.at(&entry).ok_or_else(none)?.signature_verified => BUNDLE_TYPE,
        _ => ORIGINAL_TYPE,
    };
    Ok(answer(method, document, kind))
}

fn answer(method: &Method, document: Bytes, kind: &'static str) -> Response<Body> {
    let length = document.len();
    let mut response = Response::new(full(if method == Method::HEAD { Bytes::new() } else { document }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
