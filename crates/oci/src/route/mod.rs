//! From method, raw path and raw query to what a request asks for.
//!
//! Works on the path as it was sent: names, tags and digests never need escapes, so any `%` but
//! the `%3A` that some clients write in digests is refused before anything is looked at.

mod error;
mod path;
mod query;
#[cfg(test)]
mod tests;

pub use self::error::RouteError;
use self::path::{Endpoint, Escapes, check_path, name, split};
use self::query::Query;
pub(crate) use self::query::decode_query_value;
use crate::{Digest, HistoryQuery, Name, RegistryHost, Tag, TagsQuery, TimeSpan};

/// A parsed request to `/v2/…`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub route: Route,
    /// The registry that `?ns=` named, to be echoed as `OCI-Namespace`.
    pub namespace: Option<RegistryHost>,
    /// The name as the client wrote it; empty where the route has none.
    pub requested_name: String,
}

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/manifests/<tag or digest>`
    Manifest {
        /// The repository.
        name: Name,
        /// Which manifest.
        selector: ManifestSelector,
    },
    /// `/v2/<name>/blobs/<digest>`
    Blob {
        /// The repository.
        name: Name,
        /// Which blob.
        digest: Digest,
    },
    /// `/v2/<name>/tags/list`
    TagsList {
        /// The repository.
        name: Name,
        /// Which page.
        query: TagsQuery,
    },
    /// `/v2/<name>/referrers/<digest>`
    Referrers {
        /// The repository.
        name: Name,
        /// Of which manifest.
        digest: Digest,
        /// Of which kind only.
        artifact_type: Option<String>,
    },
    /// `/v2/_oci/ext/discover`, or the same of a repository.
    Extensions {
        /// The repository; none for the registry.
        name: Option<Name>,
    },
    /// `/v2/<name>/_oci/tag-history/<tag>`
    TagHistory {
        /// The repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// Which part.
        query: HistoryQuery,
    },
    /// `/v2/<name>/_chainguard/history/<tag>`
    UpdateHistory {
        /// The repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// Which part.
        span: TimeSpan,
    },
}

/// A tag or a digest.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ManifestSelector {
    /// A tag.
    Tag(Tag),
    /// A digest: whatever contains a colon.
    Digest(Digest),
}

impl Request {
    /// Parses a request whose path begins with `/v2`.
    ///
    /// # Errors
    ///
    /// [`RouteError`], which knows its status and code.
    pub fn parse(method: &str, path: &str, query: Option<&str>) -> Result<Self, RouteError> {
        if !matches!(method, "GET" | "HEAD") {
            return Err(RouteError::MethodNotAllowed);
        }
        let decoded;
        let path = match check_path(path)? {
            Escapes::None => path,
            Escapes::Colons => {
                decoded = path.replace("%3A", ":").replace("%3a", ":");
                &decoded
            }
        };
        let rest = path.strip_prefix("/v2").unwrap_or(path);
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let plain = |route| Ok(Self { route, namespace: None, requested_name: String::new() });
        match rest {
            "" => return plain(Route::Ping),
            "_catalog" => return plain(Route::Catalog),
            "_oci/ext/discover" => return plain(Route::Extensions { name: None }),
            _ => {}
        }
        let raw_query = query.unwrap_or_default();
        let query = Query::parse(raw_query)?;
        let (requested_name, endpoint) = split(rest).ok_or(RouteError::NotFound)?;
        let name = name(requested_name, query.namespace.as_ref())?;
        let route = match endpoint {
            Endpoint::Manifest(selector) if selector.contains(':') => {
                Route::Manifest { name, selector: ManifestSelector::Digest(Digest::parse(selector)?) }
            }
            Endpoint::Manifest(tag) => {
                Route::Manifest { name, selector: ManifestSelector::Tag(Tag::parse(tag)?) }
            }
            Endpoint::Blob(digest) => Route::Blob { name, digest: Digest::parse(digest)? },
            Endpoint::TagsList => Route::TagsList { name, query: query.page },
            Endpoint::Referrers(digest) => {
                Route::Referrers { name, digest: Digest::parse(digest)?, artifact_type: query.artifact_type }
            }
            Endpoint::Extensions => Route::Extensions { name: Some(name) },
            Endpoint::TagHistory(tag) => {
                Route::TagHistory { name, tag: Tag::parse(tag)?, query: HistoryQuery::parse(raw_query)? }
            }
            Endpoint::UpdateHistory(tag) => {
                Route::UpdateHistory { name, tag: Tag::parse(tag)?, span: TimeSpan::parse(raw_query)? }
            }
        };
        Ok(Self { route, namespace: query.namespace, requested_name: requested_name.to_owned() })
    }
}
