//! Trust by TUF: renewed daily, kept where nobody answers, and for checking only once it has expired.

use std::time::Duration;

use sigstore::{Error, SearchBudget, Settings, Sigstore, TrustSource, TufRepository, Verified};
use testkit::sigstore::Fault;

use crate::place::{Place, REFERENCE, statement};

const HOUR: Duration = Duration::from_secs(3_600);

async fn logged(signer: &Sigstore, content: &str) -> Result<Verified, Error> {
    signer.submit(&signer.sign(&statement(content)).await?).await
}

#[tokio::test]
async fn the_trust_root_is_asked_for_once_a_day() {
    let place = Place::new();
    let signer = place.by_tuf();
    logged(&signer, "a").await.unwrap();
    let asked = place.services.trust_requests();
    assert!(asked > 0);
    place.clock.advance(23 * HOUR);
    logged(&signer, "b").await.unwrap();
    assert_eq!(place.services.trust_requests(), asked);
    place.clock.advance(2 * HOUR);
    logged(&signer, "c").await.unwrap();
    assert!(place.services.trust_requests() > asked);
}

/// A shard of Rekor v2 lives for months; its name comes with the signing configuration.
#[tokio::test]
async fn another_rekor_is_used_from_the_day_on_which_it_is_named() {
    let place = Place::new();
    let signer = place.by_tuf();
    logged(&signer, "a").await.unwrap();
    place.services.publish(2);
    logged(&signer, "b").await.unwrap();
    assert_eq!(place.services.tiles(), 0);
    place.clock.advance(25 * HOUR);
    logged(&signer, "c").await.unwrap();
    assert_eq!(place.services.tiles(), 1);
}

#[tokio::test]
async fn what_is_kept_signs_until_it_expires_and_the_repository_is_asked_again_soon() {
    let place = Place::new();
    logged(&place.by_tuf(), "a").await.unwrap();
    place.services.fault(Fault::NoTrust);
    place.clock.advance(30 * HOUR);
    let restarted = place.by_tuf();
    logged(&restarted, "b").await.unwrap();
    place.services.heal();
    place.services.publish(2);
    place.clock.advance(HOUR / 4);
    logged(&restarted, "c").await.unwrap();
    assert_eq!(place.services.tiles(), 1);
}

/// Expired metadata sign nothing and pin nothing new; what was signed before is checked as before.
#[tokio::test]
async fn expired_metadata_sign_and_adopt_nothing_and_still_verify() {
    let place = Place::new();
    let made = logged(&place.by_tuf(), "a").await.unwrap();
    place.services.fault(Fault::NoTrust);
    place.clock.advance(8 * 24 * HOUR);
    let restarted = place.by_tuf();
    let error = logged(&restarted, "b").await.unwrap_err();
    assert!(matches!(error, Error::TrustExpired { .. }) && error.is_transient(), "{error}");
    assert!(restarted.health().expired.is_some());
    let error = restarted.consult(REFERENCE, &[statement("a")]).await.unwrap_err();
    assert!(matches!(error, Error::TrustExpired { .. }), "what is found would be pinned: {error}");
    restarted.prepare().await.unwrap();
    assert_eq!(restarted.verify(&made.bundle).unwrap().entry, made.entry);
    place.services.heal();
    place.services.publish(1);
    place.clock.advance(HOUR / 4);
    logged(&restarted, "b").await.unwrap();
    assert_eq!(restarted.health().expired, None);
}

#[tokio::test]
async fn without_any_answer_and_without_a_cache_nobody_is_believed() {
    let place = Place::new();
    place.services.fault(Fault::NoTrust);
    let signer = place.by_tuf();
    let error = logged(&signer, "a").await.unwrap_err();
    assert!(matches!(error, Error::TrustExpired { .. }), "{error}");
    assert!(matches!(signer.verify(b"{}"), Err(Error::NoIdentity)));
    assert_eq!(place.services.requests(), place.services.trust_requests());
}

#[tokio::test]
async fn what_another_key_publishes_is_not_believed() {
    let place = Place::new();
    place.services.fault(Fault::ForeignTrust);
    place.services.publish(2);
    let error = logged(&place.by_tuf(), "a").await.unwrap_err();
    assert!(matches!(error, Error::TrustExpired { .. }), "{error}");
    place.services.heal();
    place.services.publish(1);
    let signer = place.by_tuf();
    logged(&signer, "a").await.unwrap();
    place.services.fault(Fault::ForeignTrust);
    place.services.publish(2);
    place.clock.advance(25 * HOUR);
    logged(&signer, "b").await.unwrap();
    assert_eq!(place.services.tiles(), 0);
}

#[tokio::test]
async fn who_waits_for_a_trust_root_that_does_not_come_waits_together() {
    let asked = async |at_once: usize| {
        let place = Place::new();
        place.services.fault(Fault::NoTrust);
        let signer = place.by_tuf();
        let waiting = (0..at_once).map(|number| {
            let signer = signer.clone();
            tokio::spawn(async move { logged(&signer, &number.to_string()).await.is_err() })
        });
        for one in waiting.collect::<Vec<_>>() {
            assert!(one.await.unwrap());
        }
        place.services.trust_requests()
    };
    assert_eq!(asked(4).await, asked(1).await);
}

#[tokio::test]
async fn a_search_does_not_wait_longer_for_a_trust_root_than_for_anything_else() {
    let place = Place::new();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = TufRepository {
        url: format!("http://{}", silent.local_addr().unwrap()).parse().unwrap(),
        root: place.services.path("root.json"),
    };
    let cache_dir = place.directory.path().join("cache");
    let signer = place.with(Settings {
        trust: TrustSource::Tuf { cache_dir, repository: Some(repository) },
        search: SearchBudget { entries: 64, time: Duration::from_millis(20) },
        ..place.settings()
    });
    let error = signer.consult(REFERENCE, &[]).await.unwrap_err();
    assert!(matches!(error, Error::NotReady) && error.is_transient(), "{error}");
    assert!(error.to_string().contains("`search_time`"), "{error}");
}
