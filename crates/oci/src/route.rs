//! From method, raw path and raw query to what a request asks for.
//!
//! Works on the path as it was sent: names, tags and digests never need escapes, so any `%` but
//! the `%3A` that some clients write in digests is refused before anything is looked at.

use crate::name::{names_a_registry, shortened};
use crate::{
    Digest, DigestError, ErrorCode, HistoryQuery, Name, NameError, PageToken, RegistryHost, Tag, TagsQuery,
    TimeSpan,
};

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

/// Why a request is refused before anything is looked up.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// Writing.
    #[error("this registry is read only; push to the upstream registry itself")]
    MethodNotAllowed,
    /// No such endpoint.
    #[error("no such endpoint; pull with /v2/<registry>/<repository>/manifests/<tag>")]
    NotFound,
    /// A path that no client has a reason to send.
    #[error("the path holds {0}, which no name, tag or digest contains")]
    Path(&'static str),
    /// Longer than 1 KiB.
    #[error("the path is longer than 1024 bytes")]
    PathTooLong,
    /// The name or tag.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// `?ns=` twice, or of another registry than the path.
    #[error("`ns` is given twice, or names another registry than the path does")]
    Namespace,
    /// `n` or `last`.
    #[error("`{0}` is not a valid page; `n` is a number and `last` a tag")]
    Page(String),
    /// A parameter of a history.
    #[error("`{parameter}` is given twice or is not {expected}")]
    History {
        /// Its name.
        parameter: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
}

const MAX_PATH: usize = 1_024;
/// The largest page that is asked of upstream.
const MAX_PAGE: u32 = 10_000;

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

impl RouteError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::MethodNotAllowed => 405,
            Self::NotFound => 404,
            _ => 400,
        }
    }

    /// The code of the envelope.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MethodNotAllowed | Self::NotFound => ErrorCode::Unsupported,
            Self::Name(NameError::Tag(_)) => ErrorCode::TagInvalid,
            Self::Digest(_) => ErrorCode::DigestInvalid,
            Self::Page(_) | Self::History { .. } => ErrorCode::SizeInvalid,
            Self::Path(_) | Self::PathTooLong | Self::Name(_) | Self::Namespace => ErrorCode::NameInvalid,
        }
    }
}

enum Endpoint<'a> {
    Manifest(&'a str),
    Blob(&'a str),
    TagsList,
    Referrers(&'a str),
    Extensions,
    TagHistory(&'a str),
    UpdateHistory(&'a str),
}

/// Splits `<name>/<endpoint>`: the last two components are the endpoint's, whatever the name holds; three where the first of
/// them begins with `_`, which no name does.
fn split(rest: &str) -> Option<(&str, Endpoint<'_>)> {
    let (before, last) = rest.rsplit_once('/')?;
    let (name, kind) = before.rsplit_once('/')?;
    if let Some((name, extension)) = name.rsplit_once('/').filter(|(_, last)| last.starts_with('_')) {
        let endpoint = match (extension, kind, last) {
            ("_oci", "ext", "discover") => Endpoint::Extensions,
            ("_oci", "tag-history", tag) => Endpoint::TagHistory(tag),
            ("_chainguard", "history", tag) => Endpoint::UpdateHistory(tag),
            _ => return None,
        };
        return Some((name, endpoint));
    }
    let endpoint = match (kind, last) {
        ("manifests", selector) => Endpoint::Manifest(selector),
        ("blobs", digest) => Endpoint::Blob(digest),
        ("tags", "list") => Endpoint::TagsList,
        ("referrers", digest) => Endpoint::Referrers(digest),
        _ => return None,
    };
    Some((name, endpoint))
}

/// `?ns=` is authoritative; a path that repeats it as its first component is stripped once, and a
/// path that names another registry contradicts it.
fn name(requested: &str, namespace: Option<&RegistryHost>) -> Result<Name, RouteError> {
    let Some(namespace) = namespace else { return Ok(Name::canonicalize(requested)?) };
    let Some((first, rest)) = requested.split_once('/') else {
        return Ok(Name::new(namespace.clone(), requested)?);
    };
    if names_a_registry(first) {
        if RegistryHost::canonicalize(first).ok().as_ref() == Some(namespace) {
            return Ok(Name::new(namespace.clone(), rest)?);
        }
        return Err(RouteError::Namespace);
    }
    Ok(Name::new(namespace.clone(), requested)?)
}

enum Escapes {
    None,
    Colons,
}

fn check_path(path: &str) -> Result<Escapes, RouteError> {
    if path.len() > MAX_PATH {
        return Err(RouteError::PathTooLong);
    }
    let mut escapes = Escapes::None;
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('%') {
        if !after.get(..2).is_some_and(|escape| escape.eq_ignore_ascii_case("3A")) {
            return Err(RouteError::Path("an escape"));
        }
        escapes = Escapes::Colons;
        rest = after;
    }
    if path.contains('\\') {
        return Err(RouteError::Path("a backslash"));
    }
    if path.bytes().any(|byte| byte.is_ascii_control() || !byte.is_ascii()) {
        return Err(RouteError::Path("a byte that is not printable ASCII"));
    }
    if path.contains("//") {
        return Err(RouteError::Path("an empty component"));
    }
    if path.split('/').any(|component| matches!(component, "." | "..")) {
        return Err(RouteError::Path("a `.` or `..` component"));
    }
    Ok(escapes)
}

#[derive(Default)]
struct Query {
    namespace: Option<RegistryHost>,
    page: TagsQuery,
    artifact_type: Option<String>,
}

impl Query {
    /// Reads the parameters that mean something; others are ignored, and never passed on.
    fn parse(query: &str) -> Result<Self, RouteError> {
        let mut parsed = Self::default();
        for (key, raw) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let page = || RouteError::Page(shortened(raw));
            match key {
                "ns" => {
                    let value = decode_query_value(raw).ok_or(RouteError::Namespace)?;
                    if parsed.namespace.replace(RegistryHost::canonicalize(&value)?).is_some() {
                        return Err(RouteError::Namespace);
                    }
                }
                "n" => parsed.page.n = Some(raw.parse::<u32>().map_err(|_number| page())?.min(MAX_PAGE)),
                "last" => {
                    let value = decode_query_value(raw).ok_or_else(page)?;
                    parsed.page.last =
                        Some(Tag::parse(&value).map_err(|_not_a_tag| page())?.as_str().to_owned());
                }
                "token" => {
                    let value = decode_query_value(raw).ok_or_else(page)?;
                    parsed.page.token = Some(PageToken::parse(&value).ok_or_else(page)?);
                }
                "artifactType" => {
                    let value =
                        decode_query_value(raw).filter(|value| value.len() <= 255).ok_or_else(page)?;
                    parsed.artifact_type = Some(value);
                }
                _ => {}
            }
        }
        // The token holds whatever upstream meant by them.
        if parsed.page.token.is_some() {
            (parsed.page.n, parsed.page.last) = (None, None);
        }
        Ok(parsed)
    }
}

/// Percent-decodes one value to printable ASCII; `None` for anything else.
pub(crate) fn decode_query_value(raw: &str) -> Option<String> {
    let mut decoded = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(bytes.next()?)? << 4 | digit(bytes.next()?)?
            }
            byte => byte,
        };
        if !(b' '..=b'~').contains(&byte) {
            return None;
        }
        decoded.push(char::from(byte));
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(path: &str, query: &str) -> Result<Request, RouteError> {
        Request::parse("GET", path, Some(query))
    }

    fn manifest(path: &str, query: &str) -> (String, String) {
        match get(path, query).unwrap().route {
            Route::Manifest { name, selector: ManifestSelector::Tag(tag) } => {
                (name.to_string(), tag.to_string())
            }
            Route::Manifest { name, selector: ManifestSelector::Digest(digest) } => {
                (name.to_string(), digest.to_string())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_endpoint_is_recognised() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for path in ["/v2/", "/v2"] {
            assert_eq!(get(path, "").unwrap().route, Route::Ping);
        }
        assert_eq!(get("/v2/_catalog", "n=5").unwrap().route, Route::Catalog);
        assert_eq!(
            manifest("/v2/alpine/manifests/3.16.0", ""),
            ("index.docker.io/library/alpine".into(), "3.16.0".into())
        );
        assert_eq!(manifest("/v2/ghcr.io/org/app/manifests/v1", ""), ("ghcr.io/org/app".into(), "v1".into()));
        assert_eq!(manifest(&format!("/v2/ghcr.io/a/manifests/{digest}"), "").1, digest);
        assert_eq!(
            manifest(&format!("/v2/ghcr.io/a/manifests/{}", digest.replace(':', "%3A")), "").1,
            digest
        );
        assert!(matches!(
            get(&format!("/v2/ghcr.io/a/blobs/{digest}"), "").unwrap().route,
            Route::Blob { .. }
        ));
        let Route::TagsList { query, .. } = get("/v2/ghcr.io/a/tags/list", "n=3&last=v1").unwrap().route
        else {
            panic!()
        };
        assert_eq!(query, TagsQuery { n: Some(3), last: Some("v1".to_owned()), token: None });
        let referrers =
            get(&format!("/v2/ghcr.io/a/referrers/{digest}"), "artifactType=a%2Fb").unwrap().route;
        assert!(matches!(referrers, Route::Referrers { artifact_type: Some(kind), .. } if kind == "a/b"));
        let history = get("/v2/alpine/_oci/tag-history/3.16.0", "n=3").unwrap().route;
        assert!(
            matches!(history, Route::TagHistory { name, query, .. } if name.as_str() == "index.docker.io/library/alpine" && query.n == Some(3))
        );
        let history = get("/v2/ghcr.io/a/_chainguard/history/v1", "").unwrap().route;
        assert!(matches!(history, Route::UpdateHistory { tag, .. } if tag.as_str() == "v1"));
        assert_eq!(get("/v2/_oci/ext/discover", "").unwrap().route, Route::Extensions { name: None });
        let of_one = get("/v2/ghcr.io/a/_oci/ext/discover", "").unwrap().route;
        assert!(matches!(of_one, Route::Extensions { name: Some(_) }));
        for none in
            ["/v2/ghcr.io/a/_oci/other/v1", "/v2/ghcr.io/a/_other/history/v1", "/v2/_oci/tag-history/v1"]
        {
            assert_eq!(get(none, "").unwrap_err().status(), 404, "{none}");
        }
        // A repository may be called like an endpoint.
        assert_eq!(manifest("/v2/ghcr.io/a/manifests/b/manifests/v1", "").0, "ghcr.io/a/manifests/b");
    }

    #[test]
    fn what_the_client_wrote_is_kept_for_lists() {
        assert_eq!(get("/v2/alpine/tags/list", "").unwrap().requested_name, "alpine");
        assert_eq!(get("/v2/docker.io/alpine/tags/list", "").unwrap().requested_name, "docker.io/alpine");
    }

    #[test]
    fn a_namespace_is_authoritative_and_stripped_once() {
        let hub = "index.docker.io/library/alpine";
        assert_eq!(manifest("/v2/library/alpine/manifests/3", "ns=docker.io").0, hub);
        assert_eq!(manifest("/v2/docker.io/library/alpine/manifests/3", "ns=docker.io").0, hub);
        assert_eq!(manifest("/v2/docker.io/alpine/manifests/3", "ns=registry-1.docker.io").0, hub);
        assert_eq!(manifest("/v2/org/app/manifests/3", "ns=ghcr.io").0, "ghcr.io/org/app");
        assert_eq!(
            manifest("/v2/org/app/manifests/3", "ns=reg.example%3A5000").0,
            "reg.example:5000/org/app"
        );
        assert_eq!(
            get("/v2/org/app/manifests/3", "ns=ghcr.io").unwrap().namespace.unwrap().as_str(),
            "ghcr.io"
        );
        for (path, query) in [
            ("/v2/quay.io/org/app/manifests/3", "ns=ghcr.io"),
            ("/v2/org/app/manifests/3", "ns=ghcr.io&ns=ghcr.io"),
            ("/v2/org/app/manifests/3", "ns=ghcr.io&ns=quay.io"),
            ("/v2/org/app/manifests/3", "ns=localhost/x"),
            ("/v2/org/app/manifests/3", "ns="),
            ("/v2/org/app/manifests/3", "ns=b%C3%BCcher.example"),
        ] {
            assert_eq!(get(path, query).unwrap_err().status(), 400, "{path}?{query}");
        }
    }

    #[test]
    fn paths_that_no_client_needs_are_refused() {
        for path in [
            "/v2/ghcr.io/a/manifests/x%3Fy=1",
            "/v2/ghcr.io/a/manifests/x%23",
            "/v2/ghcr.io/..%2Fb/manifests/x",
            "/v2/ghcr.io/../b/manifests/x",
            "/v2/ghcr.io/./b/manifests/x",
            "/v2/ghcr.io//b/manifests/x",
            "/v2//manifests/x",
            "/v2/ghcr.io/a\\b/manifests/x",
            "/v2/ghcr.io/a/manifests/x\0",
            "/v2/ghcr.io/a/manifests/x%",
            "/v2/ghcr.io/a/manifests/x%3",
            "/v2/gh%63r.io/a/manifests/x",
        ] {
            let error = get(path, "").unwrap_err();
            assert!(matches!(error, RouteError::Path(_)), "{path}: {error:?}");
            assert_eq!(error.status(), 400);
        }
        assert_eq!(
            get(&format!("/v2/{}/manifests/x", "a".repeat(1100)), "").unwrap_err(),
            RouteError::PathTooLong
        );
    }

    #[test]
    fn a_colon_makes_a_digest_or_an_error_and_never_a_tag() {
        for selector in ["sha256:baddigeststring", "v1:2", ":", "sha512:aa"] {
            let error = get(&format!("/v2/ghcr.io/a/manifests/{selector}"), "").unwrap_err();
            assert_eq!((error.status(), error.code()), (400, ErrorCode::DigestInvalid), "{selector}");
        }
        let blake = format!("/v2/ghcr.io/a/manifests/blake3:{}", "0".repeat(64));
        assert!(matches!(
            get(&blake, "").unwrap().route,
            Route::Manifest { selector: ManifestSelector::Digest(Digest::Other { .. }), .. }
        ));
    }

    #[test]
    fn errors_have_the_codes_that_clients_know() {
        for (path, status, code) in [
            ("/v2/ghcr.io/A/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/ghcr.io/a/manifests/.x", 400, ErrorCode::TagInvalid),
            ("/v2/ghcr.io/a/blobs/x", 400, ErrorCode::DigestInvalid),
            ("/v2/ghcr.io/a/uploads/x", 404, ErrorCode::Unsupported),
            ("/v2/x", 404, ErrorCode::Unsupported),
            ("/v2/manifests/x", 404, ErrorCode::Unsupported),
            ("/v2/ghcr.io:5000:1/a/manifests/x", 400, ErrorCode::NameInvalid),
        ] {
            let error = get(path, "").unwrap_err();
            assert_eq!((error.status(), error.code()), (status, code), "{path}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "get"] {
            assert_eq!(Request::parse(method, "/v2/", None).unwrap_err().status(), 405);
        }
        assert_eq!(get("/v2/ghcr.io/a/tags/list", "n=x").unwrap_err().code(), ErrorCode::SizeInvalid);
        assert_eq!(get("/v2/ghcr.io/a/tags/list", "last=a%2Fb").unwrap_err().status(), 400);
    }

    proptest! {
        #[test]
        fn no_request_makes_the_parser_panic(path: String, query: String) {
            let _any_answer = Request::parse("GET", &path, Some(&query));
        }

        #[test]
        fn what_is_routed_has_a_canonical_name(path in "/v2/([a-zA-Z0-9.:_-]{1,10}/){1,3}(manifests|blobs|tags)/[a-z0-9:.]{1,12}") {
            if let Ok(Request { route: Route::Manifest { name, .. } | Route::Blob { name, .. } | Route::TagsList { name, .. }, .. }) = get(&path, "") {
                prop_assert_eq!(Name::parse_canonical(name.as_str()).unwrap(), name);
            }
        }
    }
}
