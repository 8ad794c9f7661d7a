//! A frozen tag that upstream moved.

use testkit::Kind;

use crate::place::{Place, error, tag_name};

#[tokio::test]
async fn a_moved_tag_is_refused_with_both_digests() {
    let place = Place::new().await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    let first = service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    let refused = service.pull("team/app", "v1").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(refused.header("content-length"), Some(&*refused.body.len().to_string()));
    assert_eq!(refused.header("tlog-recorded-digest"), Some(&*old.digest));
    assert_eq!(refused.header("tlog-upstream-digest"), Some(&*new.digest));
    for name in ["tlog-uuid", "tlog-logindex", "tlog-integratedtime", "tlog-log", "tlog-proof"] {
        assert_eq!(refused.header(name), first.header(name), "{name}");
    }
    for name in ["docker-content-digest", "etag", "tlog-first-seen"] {
        assert_eq!(refused.header(name), None, "{name}");
    }
    let (code, message) = error(&refused);
    assert_eq!(code, "MANIFEST_UNVERIFIED");
    for part in [
        &*old.digest,
        &*new.digest,
        "corp.alt/team/app:v1",
        "log entry 2",
        "2023-11-14T22:13:20Z",
        "supersede",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[tokio::test]
async fn a_head_is_refused_with_the_same_headers_and_no_body() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    let get = service.pull("team/app", "v1").await;
    let head = service.head("/v2/corp.alt/team/app/manifests/v1").await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    assert_eq!(head.headers.len(), get.headers.len());
    for name in ["content-length", "tlog-upstream-digest", "tlog-recorded-digest", "tlog-error"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_back_is_served_again() {
    let place = Place::new().await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
    place.registry.move_tag("team/app", "v1", &old.digest);
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &old.manifest));
}

#[tokio::test]
async fn each_digest_seen_under_a_frozen_tag_is_recorded_once() {
    let place = Place::new().await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let mut moved = Vec::new();
    for _ in 0..2 {
        moved.push(place.push("team/app", "v1").digest);
        for _ in 0..3 {
            assert_eq!(service.pull("team/app", "v1").await.status, 403);
        }
    }
    let ledger = service.ledger.clone();
    service.stop().await;
    let tag = tag_name("corp.alt/team/app:v1");
    let history = ledger.history(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap();
    let seen: Vec<_> = history
        .iter()
        .filter_map(|entry| match &entry.leaf {
            taglog::Leaf::Moved { recorded, seen, .. } => Some((recorded.to_string(), seen.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(seen, moved.into_iter().map(|digest| (old.digest.clone(), digest)).collect::<Vec<_>>());
}

#[tokio::test]
async fn serve_recorded_gives_the_recorded_bytes_with_a_warning() {
    let place = Place::new().await.keys("on_move = \"serve-recorded\"");
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &old.manifest));
    let warning = reply.header("warning").unwrap();
    assert!(warning.starts_with("299 - \"") && warning.contains(&new.digest), "{warning}");
    assert_eq!(reply.header("tlog-upstream-digest"), Some(&*new.digest));
}

#[tokio::test]
async fn the_refusal_code_may_be_one_of_the_strict_list() {
    let place = Place::new().await.keys("refusal_code = \"DENIED\"");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    assert_eq!(error(&service.pull("team/app", "v1").await).0, "DENIED");
}

#[tokio::test]
async fn the_recorded_digest_can_still_be_pulled_by_its_name() {
    let place = Place::new().await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    place.registry.delete("team/app", &old.digest);
    place.registry.forget();
    let reply = service.pull("team/app", &old.digest).await;
    assert_eq!((reply.status, &reply.body), (200, &old.manifest));
    assert_eq!(place.registry.requests_of(Kind::Manifest).len(), 0);
}

#[tokio::test]
async fn a_frozen_tag_stays_frozen_whatever_the_configuration_says_later() {
    let mut place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    place.push("team/app", "v1");
    for action in ["observe", "pass"] {
        place.tables = format!("[[policy]]\nmatch = \"**\"\naction = \"{action}\"\n");
        let service = place.start().await;
        assert_eq!(service.pull("team/app", "v1").await.status, 403, "{action}");
        service.stop().await;
    }
}
