//! What a rule can say besides its action: how old a digest has to be, what a move or a loss gets, and trying it out.

use std::time::Duration;

use crate::place::{Place, Running, error, tag_name};

const DAY: Duration = Duration::from_secs(86_400);

fn rule(lines: &str) -> String {
    format!("[[policy]]\nmatch = \"corp.alt/team/**\"\n{lines}")
}

async fn counted(service: &Running, line: &str) -> bool {
    service.get("/metrics").await.text().lines().any(|found| found == line)
}

fn kinds(service: &Running) -> Vec<String> {
    let tag = tag_name("corp.alt/team/app:v1");
    let history = service.ledger.history(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap();
    history.iter().map(|entry| entry.leaf.kind().to_owned()).collect()
}

#[tokio::test]
async fn a_followed_tag_moves_without_a_warning_and_each_digest_is_recorded() {
    let place = Place::new().await.tables(&rule("action = \"follow\""));
    let service = place.start().await;
    for _ in 0..2 {
        let image = place.push("team/app", "v1");
        let reply = service.pull("team/app", "v1").await;
        assert_eq!((reply.status, &reply.body, reply.header("warning")), (200, &image.manifest, None));
    }
    assert_eq!(kinds(&service), ["seen", "seen"]);
}

#[tokio::test]
async fn following_a_tag_that_was_frozen_before_does_not_move_it() {
    let mut place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    place.tables = rule("action = \"follow\"");
    let service = place.start().await;
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
}

#[tokio::test]
async fn a_regular_expression_decides_as_a_glob_does() {
    let tables = "[[policy]]\nmatch_regex = 'corp\\.alt/team/app:v\\d+'\naction = \"deny\"";
    let place = Place::new().await.tables(tables);
    let service = place.start().await;
    for (tag, status) in [("v1", 403), ("v1x", 200), ("xv1", 200)] {
        place.push("team/app", tag);
        assert_eq!(service.pull("team/app", tag).await.status, status, "{tag}");
    }
}

#[tokio::test]
async fn an_expression_that_denies_every_tag_denies_digests_blobs_and_lists() {
    let tables = "[[policy]]\nmatch_regex = 'corp\\.alt/evil/.*:[\\w.-]+'\naction = \"deny\"";
    let place = Place::new().await.tables(tables);
    let service = place.start().await;
    for (repository, status) in [("evil/app", 403), ("team/app", 200)] {
        let image = place.push(repository, "v1");
        let blob = testkit::sha256_digest(&image.blobs[0]);
        for path in [format!("manifests/{}", image.digest), format!("blobs/{blob}"), "tags/list".to_owned()] {
            let reply = service.get(&format!("/v2/corp.alt/{repository}/{path}")).await;
            assert_eq!(reply.status, status, "{repository}/{path}");
        }
    }
}

#[tokio::test]
async fn a_digest_younger_than_min_age_is_recorded_and_refused_until_it_is_old_enough() {
    let place = Place::new().await.tables(&rule("action = \"freeze\"\nmin_age = \"3d\""));
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    let (code, message) = error(&reply);
    assert_eq!((reply.status, &*code), (403, "DENIED"));
    assert!(message.contains(&image.digest) && message.contains("`min_age`"), "{message}");
    assert!(message.contains("it is served from 20"), "{message}");
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*image.digest));
    assert_eq!(reply.header("docker-content-digest"), None);
    assert_eq!(kinds(&service), ["tag"]);
    place.clock.advance(3 * DAY - Duration::from_secs(1));
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
    place.clock.advance(Duration::from_secs(1));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
}

#[tokio::test]
async fn a_digest_too_young_can_be_pulled_by_digest_by_whoever_decided_so() {
    let place = Place::new().await.tables(&rule("action = \"freeze\"\nmin_age = \"3d\""));
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
    assert_eq!(service.pull("team/app", &image.digest).await.status, 200);
}

#[tokio::test]
async fn the_newest_digest_that_is_old_enough_is_served_where_a_rule_says_so() {
    let place =
        Place::new().await.tables(&rule("action = \"observe\"\nmin_age = \"3d\"\non_young = \"serve-old\""));
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
    place.clock.advance(DAY);
    let second = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
    place.clock.advance(2 * DAY);
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &first.manifest));
    assert_eq!(reply.header("docker-content-digest"), Some(&*first.digest));
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*first.digest));
    assert_eq!(reply.header("tlog-upstream-digest"), Some(&*second.digest));
    assert!(reply.header("warning").unwrap().contains(&second.digest));
    place.clock.advance(DAY);
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body, reply.header("warning")), (200, &second.manifest, None));
}

#[tokio::test]
async fn a_digest_that_comes_back_is_as_old_as_its_first_record() {
    let place = Place::new().await.tables(&rule("action = \"follow\"\nmin_age = \"3d\""));
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.clock.advance(2 * DAY);
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.clock.advance(DAY);
    place.registry.push_image("team/app", "v1", &first);
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &first.manifest));
    assert_eq!(kinds(&service), ["seen", "seen", "seen"]);
}

#[tokio::test]
async fn a_rule_says_for_itself_what_a_move_and_a_loss_get() {
    let lines = "action = \"freeze\"\non_move = \"serve-recorded\"\non_gone = \"serve\"";
    let place = Place::new().await.tables(&rule(lines));
    let service = place.start().await;
    for repository in ["team/app", "other/app"] {
        place.push(repository, "v1");
        service.pull(repository, "v1").await;
        place.push(repository, "v1");
    }
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!(service.pull("other/app", "v1").await.status, 403);
    for repository in ["team/app", "other/app"] {
        place.registry.delete_tag(repository, "v1");
    }
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!(service.pull("other/app", "v1").await.status, 404);
}

#[tokio::test]
async fn a_dry_run_serves_what_upstream_moved_to_once_the_move_is_in_the_log() {
    let place = Place::new().await.keys("mode = \"dry-run\"");
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let second = place.push("team/app", "v1");
    for _ in 0..2 {
        let reply = service.pull("team/app", "v1").await;
        assert_eq!((reply.status, &reply.body), (200, &second.manifest));
        assert_eq!(reply.header("docker-content-digest"), Some(&*second.digest));
        assert_eq!(reply.header("tlog-recorded-digest"), Some(&*first.digest));
        assert_eq!(reply.header("tlog-upstream-digest"), Some(&*second.digest));
        assert!(reply.header("warning").unwrap().contains("dry run"));
        assert_eq!(kinds(&service), ["tag", "moved"]);
    }
    assert!(counted(&service, "tlog_dry_run_total{reason=\"moved\"} 2").await);
    assert!(counted(&service, "tlog_refusals_total 0").await);
}

#[tokio::test]
async fn a_dry_run_serves_the_record_where_a_move_would_have_refused_nothing() {
    let place = Place::new().await.keys("mode = \"dry-run\"\non_move = \"serve-recorded\"");
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let second = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &first.manifest));
    assert_eq!(reply.header("docker-content-digest"), Some(&*first.digest));
    assert_eq!(reply.header("tlog-upstream-digest"), Some(&*second.digest));
    assert!(!reply.header("warning").unwrap().contains("dry run"), "{:?}", reply.header("warning"));
    assert!(!service.get("/metrics").await.text().contains("tlog_dry_run_total{reason=\"moved\"} 1"));
}

#[tokio::test]
async fn a_dry_run_serves_the_older_digest_where_a_younger_one_would_have_refused_nothing() {
    let lines = "action = \"observe\"\nmin_age = \"3d\"\non_young = \"serve-old\"\nmode = \"dry-run\"";
    let place = Place::new().await.tables(&rule(lines));
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &first.manifest));
    assert!(counted(&service, "tlog_dry_run_total{reason=\"young\"} 1").await);
    place.clock.advance(3 * DAY);
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &first.manifest));
    assert!(counted(&service, "tlog_dry_run_total{reason=\"young\"} 1").await);
}

#[tokio::test]
async fn a_dry_run_of_a_move_warns_of_the_move_however_young_the_record_is() {
    let place = Place::new().await.tables(&rule("action = \"freeze\"\nmin_age = \"3d\"\nmode = \"dry-run\""));
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let second = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &second.manifest));
    assert!(reply.header("warning").unwrap().contains("this tag moved"), "{:?}", reply.header("warning"));
}

#[tokio::test]
async fn a_dry_run_whose_evidence_has_no_room_serves_the_record() {
    let place = Place::new()
        .await
        .keys("mode = \"dry-run\"")
        .tables("[limits]\nmin_free = 0\nmoved_per_tag_per_day = 1");
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let second = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.body, second.manifest);
    let third = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &first.manifest));
    assert!(reply.header("warning").unwrap().contains(&third.digest));
}

#[tokio::test]
async fn a_dry_run_serves_what_is_denied_gone_or_too_young() {
    let tables = [
        rule("action = \"freeze\"\nmode = \"dry-run\"\nmin_age = \"1d\""),
        "[[policy]]\nmatch = \"corp.alt/evil/**\"\naction = \"deny\"\nmode = \"dry-run\"".to_owned(),
    ];
    let place = Place::new().await.tables(&tables.join("\n"));
    let service = place.start().await;
    let image = place.push("evil/app", "v1");
    let reply = service.pull("evil/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert!(reply.header("warning").unwrap().contains("would deny"));
    assert_eq!(service.pull("evil/app", &image.digest).await.status, 200);
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert!(
        reply.header("warning").unwrap().contains("first seen less than"),
        "{:?}",
        reply.header("warning")
    );
    place.registry.delete_tag("team/app", "v1");
    place.clock.advance(DAY);
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("warning").unwrap().contains("no longer has this tag"));
    for reason in ["denied", "young", "gone"] {
        assert!(counted(&service, &format!("tlog_dry_run_total{{reason=\"{reason}\"}} 1")).await, "{reason}");
    }
}
