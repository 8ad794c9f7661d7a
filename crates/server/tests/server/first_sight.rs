//! A tag that nobody pulled before.

use testkit::{Answer, Image, Index, Kind, Quirk, When};

use crate::place::{Place, error};

#[tokio::test]
async fn the_first_pull_is_recorded_before_it_is_answered() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert_eq!(reply.header("docker-content-digest"), Some(&*image.digest));
    assert_eq!(reply.header("tlog-first-seen"), Some("true"));
    let again = service.pull("team/app", "v1").await;
    assert_eq!((again.status, again.header("tlog-first-seen")), (200, None));
    assert_eq!(again.header("tlog-logindex"), reply.header("tlog-logindex"));
}

#[tokio::test]
async fn a_head_records_as_a_get_does_and_says_the_same() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let head = service.head("/v2/corp.alt/team/app/manifests/v1").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(&*image.manifest.len().to_string()));
    assert_eq!(head.header("tlog-first-seen"), Some("true"));
    let get = service.pull("team/app", "v1").await;
    for name in ["content-type", "content-length", "docker-content-digest", "etag", "tlog-uuid", "tlog-proof"]
    {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[tokio::test]
async fn what_a_client_accepts_does_not_change_what_is_recorded() {
    let place = Place::new().await;
    let service = place.start().await;
    let index = Index::unique();
    place.registry.push_index("team/app", "v1", &index);
    place.registry.quirk(Quirk::Amd64ChildWithoutListTypes);
    let reply = service
        .request("GET", "/v2/corp.alt/team/app/manifests/v1")
        .header("Accept", "application/vnd.docker.distribution.manifest.v2+json")
        .send()
        .await;
    assert_eq!((reply.status, reply.header("docker-content-digest")), (200, Some(&*index.digest)));
}

#[tokio::test]
async fn a_lying_digest_is_neither_recorded_nor_served() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let size = service.size();
    place.registry.quirk(Quirk::ContentDigest(format!("sha256:{}", "f".repeat(64))));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 502);
    assert_eq!(error(&reply).0, "DIGEST_INVALID");
    assert_eq!(service.size(), size);
}

#[tokio::test]
async fn a_registry_without_digest_header_is_hashed_here() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    place.registry.quirk(Quirk::NoContentDigest);
    assert_eq!(service.pull("team/app", "v1").await.header("docker-content-digest"), Some(&*image.digest));
}

#[tokio::test]
async fn what_is_no_manifest_is_never_recorded() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let size = service.size();
    for (quirk, status, code) in [
        (Quirk::Answer(Answer::html(200)), 502, "MANIFEST_INVALID"),
        (Quirk::Truncated(10), 502, "UNAVAILABLE"),
        (Quirk::PaddedTo(4 * 1024 * 1024 + 1), 502, "MANIFEST_INVALID"),
        (Quirk::ContentType("application/vnd.oci.image.index.v1+json".to_owned()), 502, "MANIFEST_INVALID"),
        (Quirk::Status(404), 404, "MANIFEST_UNKNOWN"),
        (Quirk::Status(403), 404, "NAME_UNKNOWN"),
        (Quirk::Status(401), 404, "NAME_UNKNOWN"),
        (Quirk::Status(500), 502, "UNAVAILABLE"),
        (Quirk::TooManyRequests(Some("7".to_owned())), 429, "TOOMANYREQUESTS"),
    ] {
        place.registry.clear();
        place.registry.quirk(quirk.clone());
        let reply = service.pull("team/app", "v1").await;
        assert_eq!((reply.status, &*error(&reply).0), (status, code), "{quirk:?}");
        assert_eq!(reply.header("www-authenticate"), None);
        assert_eq!(service.size(), size, "{quirk:?}");
    }
    assert_eq!(service.pull("team/app", "v1").await.header("retry-after"), Some("7"));
    place.registry.clear();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
}

#[tokio::test]
async fn a_redirected_manifest_is_followed_and_recorded() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    place
        .registry
        .quirk_when(When::kind(Kind::Manifest), Quirk::Redirect(307, format!("/files/{}", image.digest)));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert_eq!(reply.header("tlog-first-seen"), Some("true"));
}

#[tokio::test]
async fn an_upstream_that_is_down_gives_no_record_and_no_tag() {
    let place = Place::new().await;
    let service = place.start().await;
    place.registry.stop();
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &*error(&reply).0), (502, "UNAVAILABLE"));
    assert!(service.ledger.lookup(&key("corp.alt/team/app:v1")).unwrap().is_none());
}

#[tokio::test]
async fn every_spelling_of_docker_hub_is_one_record() {
    let place = Place::new().await.tables("[upstreams.\"index.docker.io\"]\nurl = \"http://127.0.0.1:1\"");
    let mut config = place.config().unwrap();
    for upstream in config.upstreams.values_mut() {
        upstream.url = Some(place.registry.url().parse().unwrap());
    }
    let service = server::Service::start(config, place.surroundings()).await.unwrap();
    let (address, ledger) = (service.address(), service.ledger().clone());
    tokio::spawn(service.run(std::future::pending()));
    let image = Image::unique();
    place.registry.push_image("library/alpine", "3.16.0", &image);
    for path in [
        "/v2/alpine/manifests/3.16.0",
        "/v2/library/alpine/manifests/3.16.0",
        "/v2/docker.io/alpine/manifests/3.16.0",
        "/v2/docker.io/library/alpine/manifests/3.16.0",
        "/v2/index.docker.io/library/alpine/manifests/3.16.0",
        "/v2/registry-1.docker.io/library/alpine/manifests/3.16.0",
        "/v2/library/alpine/manifests/3.16.0?ns=docker.io",
        "/v2/docker.io/library/alpine/manifests/3.16.0?ns=docker.io",
    ] {
        let reply = testkit::wire::get(&format!("http://{address}{path}")).await;
        assert_eq!(
            (reply.status, reply.header("docker-content-digest")),
            (200, Some(&*image.digest)),
            "{path}"
        );
        assert_eq!(reply.header("oci-namespace").is_some(), path.contains("ns="), "{path}");
    }
    // Leaf 0, the index of nothing, one tag, its index.
    assert_eq!(ledger.published().unwrap().size, 4);
}

fn key(reference: &str) -> taglog::TagKey {
    let tag = crate::place::tag_name(reference);
    taglog::TagKey::of(&tag.name, &tag.tag)
}
