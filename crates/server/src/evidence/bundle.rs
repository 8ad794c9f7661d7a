//! `/bundle/<reference>`: the Sigstore bundle of a tag's current record, for `cosign verify-blob-attestation --bundle`; and
//! `/bundle/pae/<sha256>`: the one of a statement, by the hash that Rekor v2 has of it.
//!
//! Shown where pages are, and by a service without a log, whose only proof they are.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Response};
use sigstore::referrer::BUNDLE_TYPE;
use taglog::TagKey;

use crate::app::App;
use crate::edge::body::{Body, full};
use crate::edge::respond::NO_CACHE;
use crate::error::Error;
use crate::log_api::tag_name;

/// Answers with the document as it is kept.
pub(crate) fn bundle(app: &App, method: &Method, what: &str) -> Result<Response<Body>, Error> {
    let none = || Error::NotFound { what: format!("a bundle of `{what}`") };
    if app.evidence.is_none() {
        return Err(none());
    }
    let store = |source: ledger::Error| {
        tracing::error!(reference = %what, error = %source, "the evidence of a record cannot be read");
        Error::Store { subject: what.to_owned(), source: Arc::new(source) }
    };
    let index = match what.strip_prefix("pae/") {
        Some(hash) => {
            let id = oci::Sha256Digest::parse(&format!("sha256:{hash}")).map_err(|_why| none())?;
            app.ledger.evidenced_by(id.as_bytes()).map_err(store)?.first().copied()
        }
        None => {
            let tag = tag_name(what)?;
            let record = app.ledger.lookup(&TagKey::of(&tag.name, &tag.tag)).map_err(store)?;
            record.map(|record| record.index())
        }
    };
    let document = index.map(|index| app.ledger.evidence(index)).transpose().map_err(store)?.flatten();
    Ok(answer(method, document.ok_or_else(none)?))
}

fn answer(method: &Method, document: Bytes) -> Response<Body> {
    let length = document.len();
    let mut response = Response::new(full(if method == Method::HEAD { Bytes::new() } else { document }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BUNDLE_TYPE));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
