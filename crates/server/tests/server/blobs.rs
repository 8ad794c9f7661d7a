//! Blobs in their three modes.

use testkit::{FakeRegistry, Kind, Quirk, When, sha256_digest};

use crate::place::{Place, error};

/// A place whose upstream redirects blobs to another server, as big registries do.
async fn with_storage(mode: &str) -> (Place, FakeRegistry, String, String) {
    let storage = FakeRegistry::start().await;
    let allowed = format!("redirect_hosts = [\"{}\"]", storage.host_port());
    let place = Place::new().await.keys(&format!("blobs = \"{mode}\"")).tables(&allowed);
    let digest = place.registry.push_blob("team/app", "the layer");
    storage.push_file("layer", "the layer", "application/octet-stream");
    let location = format!("{}/files/layer?signature=secret", storage.url());
    place.registry.quirk_when(When::kind(Kind::Blob), Quirk::Redirect(307, location.clone()));
    (place, storage, format!("/v2/corp.alt/team/app/blobs/{digest}"), location)
}

#[tokio::test]
async fn a_redirect_of_upstream_is_handed_on_for_the_method_that_the_client_used() {
    let (place, storage, path, location) = with_storage("redirect").await;
    let service = place.start().await;
    for method in ["GET", "HEAD"] {
        let reply = service.request(method, &path).send().await;
        assert_eq!((reply.status, reply.header("location")), (307, Some(&*location)), "{method}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(place.registry.last(Kind::Blob).method, method);
    }
    assert_eq!(storage.total(), 0);
}

#[tokio::test]
async fn a_relative_redirect_is_made_absolute() {
    let place = Place::new().await;
    let service = place.start().await;
    let digest = place.registry.push_blob("team/app", "the layer");
    place.registry.quirk_when(When::kind(Kind::Blob), Quirk::Redirect(302, "/files/{digest}".to_owned()));
    let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/{digest}")).await;
    assert_eq!(reply.header("location"), Some(&*format!("{}/files/{digest}", place.registry.url())));
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_handed_on() {
    let place = Place::new().await;
    let service = place.start().await;
    let digest = place.registry.push_blob("team/app", "the layer");
    for target in
        ["http://169.254.169.254/latest", "https://10.0.0.1/x", "https://127.0.0.1/x", "file:///etc/passwd"]
    {
        place.registry.clear();
        place.registry.quirk_when(When::kind(Kind::Blob), Quirk::Redirect(307, target.to_owned()));
        let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/{digest}")).await;
        assert_eq!((reply.status, reply.header("location")), (403, None), "{target}");
    }
}

#[tokio::test]
async fn in_stream_mode_the_redirect_is_followed_here() {
    let (place, storage, path, _) = with_storage("stream").await;
    let service = place.start().await;
    let reply = service.get(&path).await;
    assert_eq!((reply.status, reply.text(), reply.complete), (200, "the layer", true));
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    assert_eq!(storage.count("GET", Kind::File), 1);
    let head = service.head(&path).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("9")));
    assert_eq!(storage.count("HEAD", Kind::File), 1);
}

#[tokio::test]
async fn what_upstream_serves_itself_is_streamed_in_every_mode_that_has_blobs() {
    for mode in ["redirect", "stream"] {
        let place = Place::new().await.keys(&format!("blobs = \"{mode}\""));
        let service = place.start().await;
        let digest = place.registry.push_blob("team/app", "the layer".repeat(100_000));
        let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/{digest}")).await;
        assert_eq!((reply.status, reply.complete, sha256_digest(&reply.body)), (200, true, digest.clone()));
        assert_eq!(reply.header("docker-content-digest"), Some(&*digest));
    }
}

#[tokio::test]
async fn a_stream_that_does_not_match_its_digest_is_cut_before_its_end() {
    let place = Place::new().await;
    let service = place.start().await;
    let digest = place.registry.push_blob("team/app", "the layer".repeat(100_000));
    for quirk in [Quirk::CorruptBody, Quirk::Truncated(500_000)] {
        for chunked in [false, true] {
            place.registry.clear();
            place.registry.quirk_when(When::kind(Kind::Blob), quirk.clone());
            if chunked {
                place.registry.quirk_when(When::kind(Kind::Blob), Quirk::Chunked);
            }
            let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/{digest}")).await;
            assert_eq!((reply.status, reply.complete), (200, false), "{quirk:?} chunked: {chunked}");
        }
    }
}

#[tokio::test]
async fn ranges_pass_to_upstream_and_back() {
    let place = Place::new().await;
    let service = place.start().await;
    let digest = place.registry.push_blob("team/app", "0123456789");
    let path = format!("/v2/corp.alt/team/app/blobs/{digest}");
    let part = service.request("GET", &path).header("Range", "bytes=2-4").send().await;
    assert_eq!((part.status, part.text(), part.header("content-range")), (206, "234", Some("bytes 2-4/10")));
    let several = service.request("GET", &path).header("Range", "bytes=0-1,8-9").send().await;
    assert_eq!(several.status, 206);
    assert!(several.header("content-type").unwrap().starts_with("multipart/byteranges"));
    assert!(several.text().contains("01") && several.text().contains("89"), "{}", several.text());
    let beyond = service.request("GET", &path).header("Range", "bytes=20-30").send().await;
    assert_eq!(beyond.status, 416);
}

#[tokio::test]
async fn denied_blobs_are_denied_without_asking_upstream() {
    let (place, _storage, path, _) = with_storage("deny").await;
    let service = place.start().await;
    let reply = service.get(&path).await;
    assert_eq!((reply.status, &*error(&reply).0), (403, "DENIED"));
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_404() {
    let place = Place::new().await;
    let service = place.start().await;
    let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/sha256:{}", "0".repeat(64))).await;
    assert_eq!((reply.status, &*error(&reply).0), (404, "BLOB_UNKNOWN"));
}

#[tokio::test]
async fn a_blob_whose_digest_cannot_be_checked_is_not_passed_off_as_checked() {
    let place = Place::new().await;
    let service = place.start().await;
    let digest = format!("blake3:{}", "0".repeat(64));
    place.registry.quirk(Quirk::Answer(testkit::Answer::status(200).body("anything")));
    let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/{digest}")).await;
    assert_eq!((reply.status, &*error(&reply).0), (400, "UNSUPPORTED"));
}

#[tokio::test]
async fn who_has_a_blob_already_is_told_that_it_is_unchanged() {
    let place = Place::new().await;
    let service = place.start().await;
    let digest = place.registry.push_blob("team/app", "0123456789");
    let path = format!("/v2/corp.alt/team/app/blobs/{digest}");
    for method in ["GET", "HEAD"] {
        let tag = format!("\"{digest}\"");
        let reply = service.request(method, &path).header("If-None-Match", &tag).send().await;
        assert_eq!((reply.status, reply.header("etag"), reply.body.len()), (304, Some(&*tag), 0));
        let other = service.request(method, &path).header("If-None-Match", "\"sha256:other\"").send().await;
        assert_eq!(other.status, 200);
    }
    assert_eq!(place.registry.last(Kind::Blob).method, "HEAD");
    place.registry.delete("team/app", &digest);
    let reply = service.request("GET", &path).header("If-None-Match", &digest).send().await;
    assert_eq!(reply.status, 404, "what is gone is gone for those who have it, too");
}
