//! What refers to a manifest: upstream's list, written anew under the name that the client asked for.
//!
//! Like a list of tags it is upstream's word, neither recorded nor checked; what it names is pulled by digest. Where
//! upstream cannot be asked there is no list: a shorter one would hide signatures.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response};
use oci::{Descriptor, Digest, ManifestType, Name, referrers_index};

use crate::app::App;
use crate::edge::body::{Body, full};
use crate::edge::respond::NO_CACHE;
use crate::error::{Error, What};
use crate::evidence::artifact;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Answers the whole list; upstream's pages become one.
pub(crate) async fn list(
    app: &App,
    method: &Method,
    name: &Name,
    digest: &Digest,
    artifact_type: Option<&str>,
) -> Result<Response<Body>, Error> {
    let answer = app.upstream.referrers(name, digest, artifact_type).await;
    app.count(name.host(), "referrers", answer.as_ref().err());
    let descriptors = answer.map_err(|source| Error::Upstream {
        what: What::Repository,
        subject: name.to_string(),
        source: std::sync::Arc::new(source),
    })?;
    let ours = artifact::referrers(app, name, digest)?;
    let wanted = |descriptor: &Descriptor| {
        artifact_type.is_none_or(|wanted| descriptor.artifact_type.as_deref() == Some(wanted))
    };
    let mut descriptors = descriptors;
    descriptors.extend(ours.into_iter().filter(wanted));
    let body = referrers_index(&descriptors);
    let length = body.len();
    let mut response = Response::new(full(if method == Method::HEAD { Vec::new() } else { body }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(ManifestType::OciIndex.as_str()));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    if artifact_type.is_some() {
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}
