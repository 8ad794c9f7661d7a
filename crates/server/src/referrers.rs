//! What refers to a manifest: upstream's list, written anew under the name that the client asked for.
//!
//! Like a list of tags it is upstream's word, neither recorded nor checked; what it names is pulled by digest. Where
//! upstream cannot be asked there is no list, since a shorter one would hide signatures; but for bundles of ours, which
//! upstream must not hide: these are listed with a warning.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, WARNING};
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
    let wanted = |descriptor: &Descriptor| {
        artifact_type.is_none_or(|wanted| descriptor.artifact_type.as_deref() == Some(wanted))
    };
    let mut ours = artifact::referrers(app, name, digest)?;
    ours.retain(wanted);
    let (mut descriptors, partial) = match answer {
        Ok(theirs) => (theirs, false),
        Err(error) if !ours.is_empty() => {
            tracing::warn!(%name, %digest, %error, "upstream's referrers are not known; listing ours alone");
            (Vec::new(), true)
        }
        Err(source) => {
            let (what, subject) = (What::Repository, name.to_string());
            return Err(Error::Upstream { what, subject, source: std::sync::Arc::new(source) });
        }
    };
    descriptors.extend(ours);
    let body = referrers_index(&descriptors);
    let length = body.len();
    let mut response = Response::new(full(if method == Method::HEAD { Vec::new() } else { body }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(ManifestType::OciIndex.as_str()));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    if partial {
        let warning = "299 - \"upstream's referrers could not be asked for; these are this service's own\"";
        headers.insert(WARNING, HeaderValue::from_static(warning));
    }
    if artifact_type.is_some() {
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}
