//! Tags that a rule observes, passes or denies.

use testkit::{Index, Kind};

use crate::place::{Place, error, tag_name};

const OBSERVE: &str = "[[policy]]\nmatch = \"corp.alt/team/*:latest\"\naction = \"observe\"";

fn kinds(service: &crate::place::Running, reference: &str) -> Vec<String> {
    let tag = tag_name(reference);
    let history = service.ledger.history(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap();
    history.iter().map(|entry| entry.leaf.kind().to_owned()).collect()
}

#[tokio::test]
async fn each_digest_of_an_observed_tag_is_recorded_before_it_is_served() {
    let place = Place::new().await.tables(OBSERVE);
    let service = place.start().await;
    let first = place.push("team/app", "latest");
    let reply = service.pull("team/app", "latest").await;
    assert_eq!(
        (reply.status, reply.header("tlog-first-seen"), reply.header("warning")),
        (200, Some("true"), None)
    );
    let second = place.push("team/app", "latest");
    let reply = service.pull("team/app", "latest").await;
    assert_eq!((reply.status, &reply.body), (200, &second.manifest));
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*second.digest));
    assert_eq!(reply.header("tlog-first-seen"), None);
    assert!(reply.header("warning").unwrap().contains(&first.digest));
    let again = service.pull("team/app", "latest").await;
    assert_eq!((again.status, again.header("warning")), (200, None));
    assert_eq!(kinds(&service, "corp.alt/team/app:latest"), ["seen", "seen"]);
}

#[tokio::test]
async fn an_observed_tag_that_cannot_be_recorded_is_not_served() {
    let place =
        Place::new().await.tables(&format!("{OBSERVE}\n[limits]\nmin_free = 0\nseen_per_tag_per_day = 1"));
    let service = place.start().await;
    for status in [200, 200, 503] {
        place.push("team/app", "latest");
        let reply = service.pull("team/app", "latest").await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("retry-after").is_some(), status == 503);
    }
}

#[tokio::test]
async fn an_observed_tag_that_a_rule_freezes_later_is_frozen_at_what_upstream_has_then() {
    let mut place = Place::new().await.tables(OBSERVE);
    let service = place.start().await;
    place.push("team/app", "latest");
    service.pull("team/app", "latest").await;
    service.stop().await;
    place.tables = String::new();
    let service = place.start().await;
    let now = place.push("team/app", "latest");
    let reply = service.pull("team/app", "latest").await;
    assert_eq!((reply.status, &reply.body), (200, &now.manifest));
    assert_eq!(kinds(&service, "corp.alt/team/app:latest"), ["seen", "tag"]);
    place.push("team/app", "latest");
    assert_eq!(service.pull("team/app", "latest").await.status, 403);
}

#[tokio::test]
async fn a_passing_tag_is_served_and_not_recorded() {
    let place = Place::new().await.tables("[[policy]]\nmatch = \"corp.alt/**\"\naction = \"pass\"");
    let service = place.start().await;
    for _ in 0..2 {
        let image = place.push("team/app", "v1");
        let reply = service.pull("team/app", "v1").await;
        assert_eq!((reply.status, &reply.body), (200, &image.manifest));
        for name in ["tlog-uuid", "tlog-logindex", "tlog-first-seen", "tlog-proof"] {
            assert_eq!(reply.header(name), None, "{name}");
        }
    }
    assert_eq!(service.size(), 2);
}

#[tokio::test]
async fn tags_that_the_protocol_rewrites_pass() {
    let place = Place::new().await;
    let service = place.start().await;
    let hex = "a".repeat(64);
    for tag in [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha512-{hex}.att")] {
        for _ in 0..2 {
            place.push("team/app", &tag);
            assert_eq!(service.pull("team/app", &tag).await.status, 200, "{tag}");
        }
    }
    assert_eq!(service.size(), 2);
}

#[tokio::test]
async fn a_denied_repository_is_denied_by_tag_by_digest_and_by_blob_without_asking_upstream() {
    let place = Place::new().await.tables("[[policy]]\nmatch = \"corp.alt/evil/**\"\naction = \"deny\"");
    let service = place.start().await;
    let image = place.push("evil/app", "v1");
    for path in [
        "manifests/v1".to_owned(),
        format!("manifests/{}", image.digest),
        format!("blobs/{}", testkit::sha256_digest(&image.blobs[0])),
        "tags/list".to_owned(),
    ] {
        let reply = service.get(&format!("/v2/corp.alt/evil/app/{path}")).await;
        assert_eq!((reply.status, &*error(&reply).0), (403, "DENIED"), "{path}");
        assert!(error(&reply).1.contains("rule 1 (`corp.alt/evil/**`)"), "{path}");
    }
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn digests_of_a_repository_with_some_tags_allowed_are_not_denied() {
    let place = Place::new().await.tables(
        "[[policy]]\nmatch = \"corp.alt/team/app:v*\"\naction = \"freeze\"\n[[policy]]\nmatch = \"**\"\naction = \"deny\"",
    );
    let service = place.start().await;
    let index = Index::unique();
    place.registry.push_index("team/app", "v1", &index);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!(service.pull("team/app", &index.children[0].digest).await.status, 200);
    assert_eq!(service.pull("team/app", "latest").await.status, 403);
    assert_eq!(service.pull("team/other", &index.digest).await.status, 403);
    assert_eq!(place.registry.count("GET", Kind::Manifest), 2);
}
