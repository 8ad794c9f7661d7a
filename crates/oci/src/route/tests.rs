//! Requests in every form, and what becomes of them.

use proptest::prelude::*;

use super::*;
use crate::ErrorCode;

fn get(path: &str, query: &str) -> Result<Request, RouteError> {
    Request::parse("GET", path, Some(query))
}

fn manifest(path: &str, query: &str) -> (String, String) {
    match get(path, query).unwrap().route {
        Route::Manifest { name, selector: ManifestSelector::Tag(tag) } => (name.to_string(), tag.to_string()),
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
    assert_eq!(manifest(&format!("/v2/ghcr.io/a/manifests/{}", digest.replace(':', "%3A")), "").1, digest);
    assert!(matches!(get(&format!("/v2/ghcr.io/a/blobs/{digest}"), "").unwrap().route, Route::Blob { .. }));
    let Route::TagsList { query, .. } = get("/v2/ghcr.io/a/tags/list", "n=3&last=v1").unwrap().route else {
        panic!()
    };
    assert_eq!(query, TagsQuery { n: Some(3), last: Some("v1".to_owned()), token: None });
    let referrers = get(&format!("/v2/ghcr.io/a/referrers/{digest}"), "artifactType=a%2Fb").unwrap().route;
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
    for none in ["/v2/ghcr.io/a/_oci/other/v1", "/v2/ghcr.io/a/_other/history/v1", "/v2/_oci/tag-history/v1"]
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
    assert_eq!(manifest("/v2/org/app/manifests/3", "ns=reg.example%3A5000").0, "reg.example:5000/org/app");
    assert_eq!(get("/v2/org/app/manifests/3", "ns=ghcr.io").unwrap().namespace.unwrap().as_str(), "ghcr.io");
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
