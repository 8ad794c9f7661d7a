//! Budgets, the disk and the clock.

use std::time::Duration;

use crate::place::{Place, START, error};

#[tokio::test]
async fn beyond_its_budget_a_client_gets_no_new_tags_and_keeps_the_recorded_ones() {
    let place = Place::new().await.tables("[limits]\nmin_free = 0\nnew_records_per_client_per_day = 2");
    let service = place.start().await;
    for tag in ["v1", "v2", "v3"] {
        place.push("team/app", tag);
    }
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!(service.pull("team/app", "v2").await.status, 200);
    let refused = service.pull("team/app", "v3").await;
    let (code, message) = error(&refused);
    assert_eq!((refused.status, &*code), (429, "TOOMANYREQUESTS"));
    assert!(message.contains("new_records_per_client_per_day"), "{message}");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 1);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    place.clock.advance(Duration::from_secs(86_400));
    assert_eq!(service.pull("team/app", "v3").await.status, 200);
}

#[tokio::test]
async fn a_moved_tag_is_refused_beyond_the_budget_of_its_evidence() {
    let place = Place::new().await.tables("[limits]\nmin_free = 0\nmoved_per_tag_per_day = 1");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    for _ in 0..3 {
        place.push("team/app", "v1");
        assert_eq!(service.pull("team/app", "v1").await.status, 403);
    }
}

#[tokio::test]
async fn a_clock_that_went_back_records_nothing_new() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    place.push("team/app", "v2");
    service.pull("team/app", "v1").await;
    place.clock.set(START - 301);
    let refused = service.pull("team/app", "v2").await;
    assert_eq!((refused.status, &*error(&refused).0), (503, "UNAVAILABLE"));
    assert!(refused.header("retry-after").is_some());
    let ready = service.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("set the clock right"), "{}", ready.text());
    assert_eq!(service.get("/livez").await.status, 200);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
}

#[tokio::test]
async fn a_clock_a_day_away_from_upstreams_records_nothing_new() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let theirs = testkit::Clock::at(START + 86_401);
    place.registry.follow_clock(&theirs);
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    assert_eq!(service.get("/readyz").await.status, 503);
    theirs.set(START);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!(service.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_full_disk_keeps_new_tags_out_and_recorded_ones_in() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    let mut surroundings = place.surroundings();
    surroundings.free_space = ledger::FreeSpace::new(|_| Ok(1 << 20));
    let mut config = place.config().unwrap();
    config.limits.min_free = 1 << 30;
    let service = server::Service::start(config, surroundings).await.unwrap();
    let url = format!("http://{}/v2/corp.alt/team/app/manifests", service.address());
    let ready = format!("http://{}/readyz", service.address());
    tokio::spawn(service.run(std::future::pending()));
    place.push("team/app", "v2");
    assert_eq!(testkit::wire::get(&format!("{url}/v2")).await.status, 503);
    assert_eq!(testkit::wire::get(&format!("{url}/v1")).await.status, 200);
    let ready = testkit::wire::get(&ready).await;
    assert!(ready.status == 503 && ready.text().contains("bytes are free"), "{}", ready.text());
}
