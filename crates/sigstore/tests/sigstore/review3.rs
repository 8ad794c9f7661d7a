//! What a hostile reader expects of searches and of the monitor, and finds not to hold. Each test states what should be.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use sigstore::monitor::State;
use sigstore::{Action, SearchBudget, Settings, Statement};
use testkit::sigstore::Fault;

use crate::place::{Place, REFERENCE, statement};

/// A shard lives for some months; the next one has another name and begins with nothing.
#[tokio::test]
async fn the_monitor_goes_on_when_the_shard_is_another() {
    let (last_year, this_year) = (Place::v2(), Place::v2());
    let old = last_year.signer();
    for content in ["a", "b", "c"] {
        old.submit(&old.sign(&statement(content)).await.unwrap()).await.unwrap();
    }
    let state = old.watch(&State::default(), |_| (), |_, _| ()).await.unwrap();
    let new = this_year.signer();
    new.submit(&new.sign(&statement("d")).await.unwrap()).await.unwrap();
    let shorter = new.watch(&state, |_| (), |_, _| ()).await.map(drop).map_err(|error| error.to_string());
    for content in ["e", "f", "g"] {
        new.submit(&new.sign(&statement(content)).await.unwrap()).await.unwrap();
    }
    let longer = new.watch(&state, |_| (), |_, _| ()).await.map(drop).map_err(|error| error.to_string());
    assert!(shorter.is_ok() && longer.is_ok(), "{shorter:?}; {longer:?}");
}

/// The same identity is believed in every log of the trusted root.
#[tokio::test]
async fn the_monitor_of_rekor_2_sees_what_is_signed_as_us_in_rekor_1() {
    let place = Place::v2();
    let config = place.services.path("signing_config.1.json");
    let trust = sigstore::TrustSource::Files {
        trusted_root: place.services.path("trusted_root.json"),
        signing_config: config,
    };
    let thief = place.with(Settings { trust, ..place.settings() });
    let stolen = thief.submit(&thief.sign(&statement("stolen")).await.unwrap()).await.unwrap();
    let service = place.signer();
    service.prepare().await.unwrap();
    service.verify(&stolen.bundle).unwrap();
    let mut found = 0;
    service.watch(&State::default(), |_| found += 1, |_, _| ()).await.unwrap();
    assert_eq!(found, 1, "what it verifies it has to watch");
}

/// Expired metadata sign nothing, and should not pin anything new either.
#[tokio::test]
async fn expired_metadata_adopt_nothing_that_was_never_checked_before() {
    let place = Place::new();
    let first = place.by_tuf();
    first.submit(&first.sign(&statement("a")).await.unwrap()).await.unwrap();
    place.services.fault(Fault::NoTrust);
    place.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let restarted = place.by_tuf();
    let found = restarted.consult(REFERENCE, &[statement("a")]).await;
    assert!(restarted.health().expired.is_some());
    assert!(found.is_err(), "{} records", found.unwrap().records.len());
}

/// The record that Rekor was asked to keep is checked like the other.
#[tokio::test]
async fn a_statement_that_rekor_did_not_keep_is_noticed_when_it_is_written() {
    let place = Place::new();
    place.services.fault(Fault::NoAttestation);
    let signer = place.attesting();
    let outcome = signer.submit(&signer.sign(&statement("a")).await.unwrap()).await;
    assert!(outcome.is_err(), "nobody will be able to read it back");
}

/// What was found wrong with the index of a log that is believed: it does not delay in tests.
#[tokio::test]
async fn the_fakes_index_can_be_late() {
    let place = Place::new();
    let signer = place.signer();
    signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    let before = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap().records.len();
    place.services.rekor().catch_up();
    let after = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap().records.len();
    assert_eq!((before, after), (0, 1), "`catch_up` changes nothing, because nothing is ever late");
}

/// One Fulcio that hangs is waited for once, not once for each who waits.
#[tokio::test]
async fn who_waits_for_a_certificate_that_does_not_come_waits_together() {
    let place = Place::new();
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hangs.local_addr().unwrap()).parse().unwrap();
    let signer = place.with(Settings {
        fulcio_url: Some(url),
        fulcio_timeout: Duration::from_millis(20),
        ..place.settings()
    });
    let begun = std::time::Instant::now();
    let waiting: Vec<_> = (0..4)
        .map(|number: u32| {
            let signer = signer.clone();
            tokio::spawn(async move { signer.sign(&statement(&number.to_string())).await.is_err() })
        })
        .collect();
    for one in waiting {
        assert!(one.await.unwrap());
    }
    let asked = signer.statistics().fulcio;
    assert_eq!(asked, 4, "four who wait asked {asked} times, one after the other, in {:?}", begun.elapsed());
}
