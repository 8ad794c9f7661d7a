//! Entries whose statement cannot be had: they refuse a tag, so they have to be ours, and in the log.

use std::time::{Duration, SystemTime};

use sigstore::{Clock, Consulted, Sigstore};
use testkit::sigstore::{Fault, IDENTITY};

use crate::place::{Place, REFERENCE, START, statement};

/// What somebody finds who knows another statement.
async fn found(place: &Place) -> Consulted {
    place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap()
}

async fn logged_by(signer: &Sigstore) {
    signer.submit(&signer.sign(&statement("x")).await.unwrap()).await.unwrap();
}

/// [17]: a name in a certificate is nobody's word.
#[tokio::test]
async fn who_writes_our_name_into_a_certificate_of_their_own_making_refuses_no_tag() {
    let place = Place::new();
    place.services.rekor().flood(REFERENCE, 1);
    let found = found(&place).await;
    assert_eq!((found.unreadable.len(), found.records.len(), found.foreign), (0, 0, 1));
}

/// [8]: whoever Fulcio believes is not us.
#[tokio::test]
async fn who_has_a_certificate_of_their_own_name_refuses_no_tag_and_decides_none() {
    let place = Place::new();
    // So that the index tells of entries of others, whoever asks.
    place.services.fault(Fault::IndexAlone);
    place.services.identity("somebody@example.test");
    logged_by(&place.signer()).await;
    place.services.identity(IDENTITY);
    for candidate in ["a", "x"] {
        let found = place.signer().consult(REFERENCE, &[statement(candidate)]).await.unwrap();
        assert_eq!((found.unreadable.len(), found.records.len(), found.foreign), (0, 0, 1), "{candidate}");
    }
}

/// [2] and [3]
#[tokio::test]
async fn what_the_log_does_not_prove_refuses_no_tag() {
    for fault in [Fault::ForeignSet, Fault::OtherTime, Fault::ForeignCheckpoint, Fault::WrongProof] {
        let place = Place::new();
        logged_by(&place.signer()).await;
        assert_eq!(found(&place).await.unreadable.len(), 1);
        place.services.fault(fault);
        assert_eq!((found(&place).await.unreadable.len(), found(&place).await.foreign), (0, 1), "{fault:?}");
    }
}

/// [7]: whoever has the key of an old certificate logs nothing in our name any more.
#[tokio::test]
async fn what_was_logged_after_its_certificate_had_ended_refuses_no_tag() {
    let place = Place::new();
    let stands = || SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(START).unwrap());
    let thief = Sigstore::open(place.settings(), Clock::by(stands)).unwrap();
    let prepared = thief.sign(&statement("x")).await.unwrap();
    place.clock.advance(Duration::from_secs(601));
    assert!(thief.submit(&prepared).await.is_err());
    assert_eq!(place.services.rekor().size(), 1, "it is logged all the same");
    assert_eq!((found(&place).await.unreadable.len(), found(&place).await.foreign), (0, 1));
}
