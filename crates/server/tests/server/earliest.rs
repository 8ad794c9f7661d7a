//! Which record in public decides, where there are several or some cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oci::Sha256Digest;
use server::admin::{self, Command};
use server::config::{Config, Flags};
use taglog::Reason;
use testkit::sigstore::Fault;

use crate::place::{error, tag_name};
use crate::sigstore_place::{between, elsewhere, public, said};

#[tokio::test]
async fn a_digest_that_was_superseded_in_public_is_not_adopted_because_the_re_pin_cannot_be_read() {
    let mut adopted = Vec::new();
    for (more, fault) in [("", None), ("store_attestation = true", Some(Fault::NoAttestation))] {
        let (place, services) = public(more, 1).await;
        let service = place.start().await;
        let bad = place.push("team/app", "v1");
        service.pull("team/app", "v1").await;
        let good = place.push("team/app", "v1");
        place.clock.advance(Duration::from_secs(60));
        let command = Command::Supersede {
            tag: tag_name("corp.alt/team/app:v1"),
            digest: Sha256Digest::parse(&good.digest).unwrap(),
            reason: Reason::parse("the first one was malicious").unwrap(),
        };
        admin::run(&place.config().unwrap(), command).await.unwrap();
        // Upstream serves the bad one again.
        place.registry.move_tag("team/app", "v1", &bad.digest);
        assert_eq!(service.pull("team/app", "v1").await.status, 403);
        if let Some(fault) = fault {
            services.fault(fault);
        }
        let second = elsewhere(&place, "second").await;
        let reply = second.pull("team/app", "v1").await;
        if reply.status == 200 {
            adopted.push(format!(
                "{more:?} {fault:?}: 200 with the superseded digest: {}",
                reply.header("docker-content-digest") == Some(&*bad.digest)
            ));
        }
    }
    assert!(adopted.is_empty(), "{adopted:#?}");
}

#[tokio::test]
async fn what_a_log_of_another_name_and_the_same_identity_recorded_is_told_from_ours_where_its_name_is_known()
{
    let (place, _services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let config = std::fs::read_to_string(place.directory.path().join("config.toml")).unwrap();
    let config = config
        .replace(
            &place.data_dir().display().to_string(),
            &place.directory.path().join("next").display().to_string(),
        )
        .replace("https://tlog.example", "https://next.example");
    let path = place.directory.path().join("next.toml");
    std::fs::write(&path, config).unwrap();
    let config = Config::load(Flags { config: Some(path.clone()), ..Flags::default() }, &|_| None).unwrap();
    let next = place.start_with(config, place.surroundings()).await;
    let reply = next.pull("team/app", "v1").await;
    let (_, message) = error(&reply);
    assert_eq!(reply.status, 403, "{} never moved", image.digest);
    assert!(
        message.contains("in the name of another log") && !message.contains("recorded another digest"),
        "{message}"
    );
    next.stop().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let known = text.replace("[sigstore]", "[sigstore]\nformer_origins = [\"tlog.example/log\"]");
    std::fs::write(&path, known).unwrap();
    let config = Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None).unwrap();
    let next = place.start_with(config, place.surroundings()).await;
    let reply = next.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest), "upstream never moved: {}", said(&reply));
}

#[tokio::test]
async fn the_earliest_record_decides_also_where_it_says_what_ours_says() {
    let (place, services) = public("store_attestation = true", 1).await;
    let services = Arc::new(services);
    // Who is timestamped has looked once.
    let (armed, healed) = (Arc::new(AtomicBool::new(false)), Arc::clone(&services));
    let is_armed = Arc::clone(&armed);
    let hook = move |_: &str, _: &str, _: &[u8]| {
        if is_armed.load(Ordering::SeqCst) {
            healed.heal();
        }
        None
    };
    between(&services, "tsaUrls", Arc::new(hook)).await;
    let a = place.push("team/app", "v1");
    let first = place.start().await;
    assert_eq!(first.pull("team/app", "v1").await.status, 200);
    place.clock.advance(Duration::from_secs(5));
    // A second one, which the index told nothing, records another digest.
    let b = place.push("team/app", "v1");
    services.fault(Fault::IndexLoses);
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
    place.clock.advance(Duration::from_secs(5));
    // The third sees nothing at first, says what the first said, and then sees all.
    place.registry.move_tag("team/app", "v1", &a.digest);
    armed.store(true, Ordering::SeqCst);
    let third = elsewhere(&place, "third").await;
    let reply = third.pull("team/app", "v1").await;
    let recorded = reply.header("tlog-recorded-digest").map(str::to_owned);
    assert_eq!(recorded.as_deref(), Some(&*a.digest), "it adopted {}: {}", b.digest, said(&reply));
    assert_eq!(reply.header("tlog-first-seen"), None, "somebody saw it before");
}

#[tokio::test]
async fn an_observed_tag_that_a_policy_freezes_is_logged_as_well() {
    let (mut place, services) = public("", 1).await;
    let tables = place.tables.clone();
    place.tables = format!("{tables}\n[[policy]]\nmatch = \"**\"\naction = \"observe\"\n");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    place.tables = tables;
    let service = place.start().await;
    let reply = service.pull("team/app", "v1").await;
    let tag = tag_name("corp.alt/team/app:v1");
    let record = service.ledger.lookup(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap().unwrap();
    assert!(record.is_frozen());
    assert_eq!(
        (services.rekor().size(), reply.header("tlog-log")),
        (1, Some("rekor.example")),
        "{}",
        said(&reply)
    );
}

#[tokio::test]
async fn an_observed_tag_that_cannot_be_frozen_in_public_now_is_served_as_recorded() {
    let (mut place, services) = public("", 1).await;
    let tables = place.tables.clone();
    place.tables = format!("{tables}\n[[policy]]\nmatch = \"**\"\naction = \"observe\"\n");
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    place.tables = tables;
    let service = place.start().await;
    services.fault(Fault::Unavailable(u32::MAX));
    let new = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest), "{}", said(&reply));
    assert!(reply.header("warning").unwrap().contains("cannot be logged in public now"));
    services.heal();
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &new.manifest), "{}", said(&reply));
    assert_eq!(reply.header("tlog-log"), Some("rekor.example"));
}
