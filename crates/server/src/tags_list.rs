//! `tags/list`: upstream's page, under the name that the client asked for.
//!
//! The list is upstream's word and is neither recorded nor checked; a `Link` of upstream would lead
//! around us, so it is written anew.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LINK};
use http::{Method, Response};
use oci::{Link, Name, RegistryHost, TagsQuery};
use serde::Serialize;

use crate::app::App;
use crate::edge::body::{Body, full};
use crate::edge::respond::NO_CACHE;
use crate::error::{Error, What};

#[derive(Serialize)]
struct Page<'a> {
    name: &'a str,
    tags: &'a [String],
}

/// Answers one page; `requested` is the name as the client wrote it, `namespace` the registry that its `?ns=` named.
pub(crate) async fn page(
    app: &App,
    method: &Method,
    name: &Name,
    requested: &str,
    namespace: Option<&RegistryHost>,
    query: &TagsQuery,
) -> Result<Response<Body>, Error> {
    let answer = app.upstream.tags(name, query).await;
    app.count(name.host(), "tags", answer.as_ref().err());
    let page = answer.map_err(|source| Error::Upstream {
        what: What::Repository,
        subject: name.to_string(),
        source: std::sync::Arc::new(source),
    })?;
    let body = serde_json::to_vec(&Page { name: requested, tags: &page.tags }).map_err(|error| {
        tracing::error!(%error, "a list of tags cannot be written as JSON");
        Error::Internal
    })?;
    let length = body.len();
    let mut response = Response::new(full(if method == Method::HEAD { Vec::new() } else { body }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    if let Some(next) = &page.next
        && let Ok(link) = HeaderValue::from_str(&Link::tags_list(requested, namespace, next))
    {
        headers.insert(LINK, link);
    }
    Ok(response)
}
