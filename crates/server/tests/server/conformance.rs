//! The read-only checks of OCI's conformance suite (distribution-spec, `conformance`), as `ci/conformance` runs them for
//! real: pull, content discovery, and what an error looks like.

use serde_json::json;
use testkit::wire::Reply;
use testkit::{Index, Quirk};

use crate::place::{Place, Running};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A service, the digest of an index behind `v1`, and what the index names.
async fn content() -> (Place, Running, Index) {
    let place = Place::new().await;
    let index = Index::oci("conformance");
    place.registry.push_index("team/app", "v1", &index);
    let service = place.start().await;
    (place, service, index)
}

fn path(kind: &str, what: &str) -> String {
    format!("/v2/corp.alt/team/app/{kind}/{what}")
}

/// HEAD says of a body all that GET does.
async fn agree(service: &Running, path: &str) -> Reply {
    let (head, get) = (service.head(path).await, service.get(path).await);
    assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
    for name in ["content-type", "content-length", "docker-content-digest"] {
        assert_eq!(head.header(name), get.header(name), "{path}: {name}");
    }
    assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
    get
}

#[tokio::test]
async fn ping_is_answered() {
    let (_place, service, _) = content().await;
    let ping = service.get("/v2/").await;
    assert_eq!((ping.status, ping.header("docker-distribution-api-version")), (200, Some("registry/2.0")));
}

#[tokio::test]
async fn manifests_are_had_by_tag_and_by_digest() {
    let (_place, service, index) = content().await;
    let by_tag = agree(&service, &path("manifests", "v1")).await;
    assert_eq!(
        (by_tag.status, &by_tag.body, by_tag.header("content-type")),
        (200, &index.manifest, Some(INDEX))
    );
    let digest = by_tag.header("docker-content-digest").unwrap().to_owned();
    let children = index.children.iter().map(|child| (child.digest.clone(), child.manifest.clone()));
    for (digest, bytes) in children.chain([(digest, index.manifest.clone())]) {
        let by_digest = agree(&service, &path("manifests", &digest)).await;
        assert_eq!((by_digest.status, &by_digest.body), (200, &bytes));
        assert_eq!(by_digest.header("docker-content-digest"), Some(digest.as_str()));
    }
}

#[tokio::test]
async fn blobs_are_had_whole_and_in_part() {
    let (place, service, _) = content().await;
    let bytes = b"0123456789".to_vec();
    let blob = path("blobs", &place.registry.push_blob("team/app", bytes.clone()));
    let whole = agree(&service, &blob).await;
    assert_eq!((whole.status, whole.body.to_vec()), (200, bytes));
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, &b"234"[..], Some("bytes 2-4/10")),
        ("bytes=7-", 206, b"789", Some("bytes 7-9/10")),
        ("bytes=-1", 206, b"9", Some("bytes 9-9/10")),
        ("bytes=10-11", 416, b"", None),
    ] {
        let part = service.request("GET", &blob).header("Range", range).send().await;
        assert_eq!(part.status, status, "{range}");
        if status == 206 {
            assert_eq!((&part.body[..], part.header("content-range")), (body, content_range), "{range}");
        }
    }
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let (place, service, _) = content().await;
    let digest = place.registry.push_blob("team/app", "");
    let blob = agree(&service, &path("blobs", &digest)).await;
    assert_eq!((blob.status, blob.body.len()), (200, 0));
}

#[tokio::test]
async fn what_is_not_there_is_a_404_with_an_envelope_and_what_is_no_digest_is_a_400() {
    let (_place, service, _) = content().await;
    let missing = format!("sha256:{}", "1".repeat(64));
    for (path, status) in [
        (path("manifests", "missing"), 404),
        (path("manifests", &missing), 404),
        (path("blobs", &missing), 404),
        ("/v2/corp.alt/team/none/tags/list".to_owned(), 404),
        (path("manifests", "sha256:baddigeststring"), 400),
        (path("blobs", "sha256:baddigeststring"), 400),
        (path("referrers", "sha256:baddigeststring"), 400),
        (path("manifests", ".badtag"), 400),
    ] {
        let reply = service.get(&path).await;
        assert_eq!(reply.status, status, "{path}");
        let code = reply.json().pointer("/errors/0/code").and_then(|code| code.as_str().map(str::to_owned));
        let code = code.unwrap_or_default();
        assert!(
            !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
            "{path}: {code}"
        );
    }
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let (place, service, _) = content().await;
    for tag in ["a", "b", "v2"] {
        place.push("team/app", tag);
    }
    let all = service.get(&path("tags", "list")).await;
    assert_eq!(all.json().get("tags"), Some(&json!(["a", "b", "v1", "v2"])));
    let rest = service.get(&path("tags", "list?last=b")).await;
    assert_eq!(rest.json().get("tags"), Some(&json!(["v1", "v2"])));
    let page = service.get(&path("tags", "list?n=1&last=a")).await;
    assert_eq!((page.json().get("tags"), page.header("link").is_some()), (Some(&json!(["b"])), true));
}

#[tokio::test]
async fn a_manifest_that_nothing_refers_to_has_an_empty_list_of_referrers() {
    let (place, service, index) = content().await;
    let digest = &index.children.first().unwrap().digest;
    for quirk in [None, Some(Quirk::Referrers { page: 5, filters: true })] {
        quirk.into_iter().for_each(|quirk| place.registry.quirk(quirk));
        let reply = service.get(&path("referrers", digest)).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(INDEX)));
        assert_eq!(reply.json().get("manifests"), Some(&json!([])));
    }
}

#[tokio::test]
async fn content_is_had_by_sha512_as_well() {
    let (place, service, _) = content().await;
    let image = place.push("team/app", "v2");
    let digest = testkit::sha512_digest(&image.manifest);
    let manifest = agree(&service, &path("manifests", &digest)).await;
    assert_eq!((manifest.status, &manifest.body), (200, &image.manifest));
    let layer = image.blobs.first().unwrap();
    let blob = agree(&service, &path("blobs", &testkit::sha512_digest(layer))).await;
    assert_eq!((blob.status, &blob.body), (200, layer));
}
