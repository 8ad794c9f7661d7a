//! What is signed and about to be recorded: when it may be, what it costs, and that no fault of others costs the tag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::Quirk;
use testkit::sigstore::{Fault, Sigstore};

use crate::place::{Place, tag_name};
use crate::sigstore_place::{between, elsewhere, public, said, table};

#[tokio::test]
async fn what_fulcio_or_the_timestamp_authority_got_wrong_once_does_not_cost_the_tag() {
    let mut bricked = Vec::new();
    for fault in [
        Fault::NoSct,
        Fault::ForeignSct,
        Fault::OtherChain,
        Fault::ForeignTimestamp,
        Fault::OtherImprint,
        Fault::LateTimestamp,
    ] {
        let (place, services) = public("", 1).await;
        let service = place.start().await;
        place.push("team/app", "v1");
        services.fault(fault);
        assert_eq!(service.pull("team/app", "v1").await.status, 503);
        services.heal();
        let mut last = String::new();
        for _ in 0..4 {
            place.clock.advance(Duration::from_secs(3600));
            last = said(&service.pull("team/app", "v1").await);
        }
        if !last.starts_with("200") {
            bricked.push(format!("{fault:?} ({} entries in Rekor): {last}", services.rekor().size()));
        }
    }
    assert!(bricked.is_empty(), "{bricked:#?}");
}

#[tokio::test]
async fn a_certificate_that_fails_its_check_does_not_cost_all_tags_of_eight_minutes() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    services.fault(Fault::NoSct);
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    // Fulcio is right again at once.
    services.heal();
    place.push("team/app", "v2");
    let reply = service.pull("team/app", "v2").await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
}

#[tokio::test]
async fn an_entry_that_rekor_made_after_the_certificate_ended_does_not_cost_the_tag() {
    let (place, services) = public("", 1).await;
    let clock = place.clock.clone();
    let slow = AtomicBool::new(true);
    let hook = move |method: &str, path: &str, _: &[u8]| {
        if method == "POST" && path == "/api/v1/log/entries" && slow.swap(false, Ordering::SeqCst) {
            clock.advance(Duration::from_secs(601));
        }
        None
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let mut last = said(&service.pull("team/app", "v1").await);
    for _ in 0..4 {
        place.clock.advance(Duration::from_secs(3600));
        last = said(&service.pull("team/app", "v1").await);
    }
    assert!(last.starts_with("200"), "{last}");
}

#[tokio::test]
async fn a_timestamp_that_is_too_large_does_not_cost_the_tag() {
    let (place, services) = public("", 1).await;
    let big = AtomicBool::new(true);
    let hook = move |_: &str, _: &str, _: &[u8]| {
        big.swap(false, Ordering::SeqCst).then(|| (200, vec![7_u8; 60_000]))
    };
    between(&services, "tsaUrls", Arc::new(hook)).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let first = said(&service.pull("team/app", "v1").await);
    let mut last = String::new();
    for _ in 0..4 {
        place.clock.advance(Duration::from_secs(3600));
        last = said(&service.pull("team/app", "v1").await);
    }
    assert!(last.starts_with("200"), "first: {first}\nlast: {last}");
}

#[tokio::test]
async fn a_digest_that_upstream_collected_while_rekor_was_away_does_not_cost_the_tag() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    // Rekor takes nothing, and has logged nothing.
    let down = Arc::new(AtomicBool::new(true));
    drop(service);
    let is_down = Arc::clone(&down);
    let hook = move |method: &str, path: &str, _: &[u8]| {
        let create = method == "POST" && path == "/api/v1/log/entries";
        (create && is_down.load(Ordering::SeqCst)).then(|| (400, b"no".to_vec()))
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let service = elsewhere(&place, "other").await;
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    assert_eq!(services.rekor().size(), 0);
    down.store(false, Ordering::SeqCst);
    place.push("team/app", "v1");
    place.registry.delete("team/app", &old.digest);
    let reply = service.pull("team/app", "v1").await;
    let tag = tag_name("corp.alt/team/app:v1");
    let pinned = service.ledger.pending(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap();
    let statement = format!("{} entries in Rekor, pending: {}", services.rekor().size(), pinned.is_some());
    assert!(reply.status == 200 || reply.status == 403, "{statement}; {}", said(&reply));
}

#[tokio::test]
async fn a_client_beyond_its_budget_writes_nothing_to_rekor() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let place = place.tables(&format!(
        "{}\n[limits]\nmin_free = 0\nnew_records_per_client_per_day = 1\n",
        table(&services, "", 1)
    ));
    let service = place.start().await;
    let mut statuses = Vec::new();
    for number in 0..6 {
        let tag = format!("v{number}");
        place.push("team/app", &tag);
        statuses.push(service.pull("team/app", &tag).await.status);
    }
    assert_eq!(services.rekor().size(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_registry_whose_clock_is_wrong_writes_nothing_to_rekor() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    place.registry.quirk(Quirk::Date("Wed, 01 Jan 2020 00:00:00 GMT".to_owned()));
    let mut statuses = Vec::new();
    for number in 0..5 {
        let tag = format!("v{number}");
        place.push("team/app", &tag);
        statuses.push(service.pull("team/app", &tag).await.status);
    }
    assert_eq!(services.rekor().size(), 0, "{statuses:?}");
}

#[tokio::test]
async fn what_was_said_in_public_and_is_pending_still_pins_when_the_mode_changes() {
    let (mut place, services) = public("", 1).await;
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    services.fault(Fault::WrongProof);
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    service.stop().await;
    place.push("team/app", "v1");
    place.tables = String::new();
    let service = place.start().await;
    let reply = service.pull("team/app", "v1").await;
    assert_ne!(
        reply.status,
        200,
        "Rekor has {} ({} entries): {}",
        first.digest,
        services.rekor().size(),
        said(&reply)
    );
}

/// A trial of freezing that was taken back, while what it began in Rekor was not finished.
#[tokio::test]
async fn an_observed_tag_goes_on_after_a_freeze_that_was_begun_and_taken_back() {
    for keeps_mode in [true, false] {
        let (mut place, services) = public("", 1).await;
        let tables = place.tables.clone();
        let observe = "\n[[policy]]\nmatch = \"**\"\naction = \"observe\"\n";
        place.tables = format!("{tables}{observe}");
        let service = place.start().await;
        place.push("team/app", "v1");
        assert_eq!(service.pull("team/app", "v1").await.status, 200);
        service.stop().await;

        place.tables = tables.clone();
        let service = place.start().await;
        services.fault(Fault::WrongProof);
        let reply = service.pull("team/app", "v1").await;
        assert!(reply.status == 200 && reply.header("warning").is_some(), "{}", said(&reply));
        service.stop().await;

        place.tables = if keeps_mode { format!("{tables}{observe}") } else { observe.to_owned() };
        let service = place.start().await;
        place.push("team/app", "v1");
        let reply = service.pull("team/app", "v1").await;
        assert!(reply.status == 200 && reply.header("warning").is_some(), "{keeps_mode}: {}", said(&reply));
        service.stop().await;
    }
}
