//! What a hostile reader expects of searches and of the monitor, and finds not to hold. Each test states what should be.

use std::time::Duration;

use testkit::sigstore::Fault;

use crate::place::{Place, REFERENCE, statement};

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
