//! A recorded tag while upstream answers, hesitates, fails, or says that it is gone.

use testkit::{Auth, Gate, Kind, Quirk, When};

use crate::place::{Place, error};

#[tokio::test]
async fn an_unmoved_tag_costs_one_head_and_is_served_from_our_store() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.registry.forget();
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body, reply.header("warning")), (200, &image.manifest, None));
    assert_eq!((place.registry.count("HEAD", Kind::Manifest), place.registry.total()), (1, 1));
}

#[tokio::test]
async fn a_head_without_digest_is_settled_by_the_bytes() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    for quirk in [Quirk::NoContentDigest, Quirk::HeadNotSupported, Quirk::Sha512ContentDigest] {
        place.registry.clear();
        place.registry.quirk(quirk.clone());
        let reply = service.pull("team/app", "v1").await;
        assert_eq!(
            (reply.status, &reply.body, reply.header("warning")),
            (200, &image.manifest, None),
            "{quirk:?}"
        );
    }
}

#[tokio::test]
async fn a_check_stays_fresh_for_as_long_as_configured() {
    let place = Place::new().await.keys("recheck = \"1h\"");
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.pull("team/app", "v1").await;
    place.registry.forget();
    place.registry.stop();
    for _ in 0..3 {
        let reply = service.pull("team/app", "v1").await;
        assert_eq!((reply.status, &reply.body, reply.header("warning")), (200, &image.manifest, None));
    }
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn a_recorded_tag_is_served_with_a_warning_while_upstream_fails() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let served = |reply: &testkit::wire::Reply, what: &str| {
        assert_eq!((reply.status, &reply.body), (200, &image.manifest), "{what}");
        let warning = reply.header("warning").unwrap_or_default();
        assert!(warning.starts_with("299 - \"upstream"), "{what}: {warning}");
        assert!(warning.contains("served as recorded in log entry 2"), "{what}: {warning}");
    };
    for quirk in [
        Quirk::Status(500),
        Quirk::Status(503),
        Quirk::TooManyRequests(None),
        Quirk::Reset,
        Quirk::HangUp,
        Quirk::Status(418),
        Quirk::RedirectLoop,
        Quirk::Redirect(307, "http://169.254.169.254/".to_owned()),
    ] {
        place.registry.clear();
        place.registry.quirk(quirk.clone());
        served(&service.pull("team/app", "v1").await, &format!("{quirk:?}"));
    }
    place.registry.stop();
    served(&service.pull("team/app", "v1").await, "stopped");
}

#[tokio::test]
async fn bytes_that_contradict_their_header_never_make_a_tag_moved() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.registry.quirk(Quirk::ContentDigest(format!("sha256:{}", "f".repeat(64))));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert!(reply.header("warning").is_some());
}

#[tokio::test]
async fn a_pull_does_not_wait_longer_for_upstream_than_configured() {
    let place = Place::new().await.keys("recheck_timeout = \"1ms\"");
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let gate = Gate::closed();
    place.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert!(reply.header("warning").unwrap().contains("did not answer in time"));
    gate.release();
}

#[tokio::test]
async fn a_check_that_came_too_late_for_one_pull_still_records_what_it_finds() {
    let place = Place::new().await.keys("recheck_timeout = \"1ms\"");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    let gate = Gate::closed();
    place.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let size = service.size();
    gate.release();
    while service.size() == size {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tag_that_upstream_withdrew_is_refused_by_name_of_its_record() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.registry.delete_tag("team/app", "v1");
    let gone = service.pull("team/app", "v1").await;
    assert_eq!(gone.status, 404);
    let (code, message) = error(&gone);
    assert_eq!(code, "MANIFEST_UNKNOWN");
    assert!(message.contains(&image.digest) && message.contains("log entry 2"), "{message}");
    place.registry.quirk(Quirk::Status(403));
    assert_eq!(service.pull("team/app", "v1").await.status, 404);
}

#[tokio::test]
async fn a_withdrawn_tag_may_be_served_with_a_warning() {
    let place = Place::new().await.keys("on_gone = \"serve\"");
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.registry.delete_tag("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert!(reply.header("warning").unwrap().contains("no longer has this tag"));
}

#[tokio::test]
async fn credentials_that_upstream_turns_down_are_said_to_be() {
    let place = Place::new().await.tables("username = \"ci\"\npassword = \"right\"");
    let service = place.start().await;
    place.registry.require(Auth::basic("ci", "right"));
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    place.registry.require(Auth::basic("ci", "changed"));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &*error(&reply).0), (403, "DENIED"));
    assert_eq!(reply.header("www-authenticate"), None);
}

#[tokio::test]
async fn a_failed_head_is_not_kept_for_the_next_pull() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.registry.quirk_when(When::kind(Kind::Manifest).method("HEAD").first(2), Quirk::Status(500));
    assert!(service.pull("team/app", "v1").await.header("warning").is_some());
    place.registry.clear();
    assert_eq!(service.pull("team/app", "v1").await.header("warning"), None);
}

#[tokio::test]
async fn a_head_that_says_gone_is_settled_by_a_get() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    for status in [404, 403, 401] {
        place.registry.clear();
        place.registry.quirk_when(When::kind(Kind::Manifest).method("HEAD"), Quirk::Status(status));
        let reply = service.pull("team/app", "v1").await;
        assert_eq!(
            (reply.status, &reply.body, reply.header("warning")),
            (200, &image.manifest, None),
            "{status}"
        );
    }
}
