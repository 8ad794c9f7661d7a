//! Manifests by digest: kept ones from our store, all others from upstream, hashed on the way.

use testkit::{Image, Index, Kind, Quirk, When, sha512_digest};

use crate::place::{Place, error};

#[tokio::test]
async fn children_of_a_recorded_index_are_kept_once_they_have_passed() {
    let place = Place::new().await;
    let service = place.start().await;
    let index = Index::unique();
    place.registry.push_index("team/app", "v1", &index);
    service.pull("team/app", "v1").await;
    let child = &index.children[0];
    let size = service.size();
    let reply = service.pull("team/app", &child.digest).await;
    assert_eq!((reply.status, &reply.body), (200, &child.manifest));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
    service.stop().await;
    place.registry.stop();
    let service = place.start().await;
    assert_eq!(service.pull("team/app", &child.digest).await.body, child.manifest);
    assert_eq!(service.pull("team/app", "v1").await.body, index.manifest);
    assert_eq!(service.pull("team/app", &index.children[1].digest).await.status, 502);
    assert_eq!(service.size(), size, "a kept child is no leaf");
}

#[tokio::test]
async fn bytes_are_served_only_under_the_name_they_were_fetched_for() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/secret", "v1");
    service.pull("team/secret", "v1").await;
    let reply = service.pull("team/public", &image.digest).await;
    assert_eq!((reply.status, &*error(&reply).0), (404, "MANIFEST_UNKNOWN"));
}

#[tokio::test]
async fn a_manifest_that_does_not_fit_its_digest_is_never_served() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = Image::unique();
    place.registry.push_image("team/app", "v1", &image);
    let other = Image::unique();
    for quirk in [Quirk::CorruptBody, Quirk::ReplaceBody(other.manifest.clone())] {
        place.registry.clear();
        place.registry.quirk_when(When::kind(Kind::Manifest), quirk.clone());
        let reply = service.pull("team/app", &image.digest).await;
        assert_eq!((reply.status, &*error(&reply).0), (502, "DIGEST_INVALID"), "{quirk:?}");
    }
}

#[tokio::test]
async fn a_sha512_pull_is_checked_and_echoed_as_asked_for() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let sha512 = sha512_digest(&image.manifest);
    place
        .registry
        .quirk_when(When::kind(Kind::Manifest), Quirk::Redirect(307, format!("/files/{}", image.digest)));
    let reply = service.pull("team/app", &sha512).await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert_eq!(reply.header("docker-content-digest"), Some(&*sha512));
    let wrong = service.pull("team/app", &format!("sha512:{}", "0".repeat(128))).await;
    assert_eq!((wrong.status, &*error(&wrong).0), (502, "DIGEST_INVALID"));
}

#[tokio::test]
async fn a_digest_of_an_unknown_algorithm_is_refused_and_never_taken_for_a_tag() {
    let place = Place::new().await;
    let service = place.start().await;
    let reply = service.pull("team/app", &format!("blake3:{}", "0".repeat(64))).await;
    assert_eq!((reply.status, &*error(&reply).0), (400, "UNSUPPORTED"));
    let reply = service.pull("team/app", "sha256:baddigeststring").await;
    assert_eq!((reply.status, &*error(&reply).0), (400, "DIGEST_INVALID"));
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn a_client_that_has_the_bytes_already_gets_304() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    for reference in ["v1", &image.digest] {
        for tag in
            [format!("\"{}\"", image.digest), image.digest.clone(), format!("\"x\", W/\"{}\"", image.digest)]
        {
            let path = format!("/v2/corp.alt/team/app/manifests/{reference}");
            let reply = service.request("GET", &path).header("If-None-Match", &tag).send().await;
            assert_eq!((reply.status, reply.body.len()), (304, 0), "{tag}");
            assert_eq!(reply.header("etag"), Some(&*format!("\"{}\"", image.digest)));
        }
    }
}
