//! Writing: what comes back is believed only when all of it holds.

use sigstore::{Check, Error, Prepared, Service, Settings};
use testkit::sigstore::{Fault, IDENTITY};

use crate::place::{Place, REFERENCE, START, statement, us};

/// What a record written under this fault fails by.
async fn failed(place: &Place, fault: Fault) -> Error {
    place.services.fault(fault);
    let signer = place.signer();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    signer.submit(&prepared).await.unwrap_err()
}

#[tokio::test]
async fn a_record_is_logged_and_everything_about_it_is_checked() {
    let place = Place::new();
    let signer = place.signer();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    let verified = signer.submit(&prepared).await.unwrap();
    assert_eq!((&verified.statement, &verified.identity), (&statement("a"), &us()));
    assert!(verified.signature_verified);
    assert_eq!(verified.entry.log, "rekor.example");
    assert_eq!(verified.entry.index, 100);
    assert_eq!(verified.entry.time, u64::try_from(START).unwrap());
    assert_eq!(verified.entry.uuid, place.services.rekor().ids()[0]);
    assert_eq!(signer.verify(&verified.bundle).unwrap().entry, verified.entry);
}

#[tokio::test]
async fn rekor_2_gets_the_hash_and_the_timestamp_is_the_time() {
    let place = Place::v2();
    let signer = place.signer();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    place.clock.advance(std::time::Duration::from_secs(9));
    let verified = signer.submit(&prepared).await.unwrap();
    assert_eq!(verified.entry.log, "rekor2.example");
    assert_eq!((verified.entry.index, verified.entry.time), (0, u64::try_from(START).unwrap()));
    assert_eq!(signer.verify(&verified.bundle).unwrap().entry, verified.entry);
}

/// [2] the signed entry timestamp, [3] inclusion and checkpoint, [6] the entry itself.
#[tokio::test]
async fn what_rekor_did_not_sign_include_or_log_is_no_record() {
    for fault in
        [Fault::ForeignSet, Fault::OtherTime, Fault::ForeignCheckpoint, Fault::WrongProof, Fault::AlteredBody]
    {
        let error = failed(&Place::new(), fault).await;
        assert!(matches!(error, Error::Verification { .. }), "{fault:?}: {error}");
        assert!(!error.is_transient(), "{fault:?}");
    }
}

/// [3] and [6]: the id says of which tree an entry is.
#[tokio::test]
async fn a_checkpoint_of_another_tree_is_not_the_entrys() {
    let place = Place::new();
    let signer = place.signer();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    place.services.fault(Fault::OtherTree);
    let error = signer.submit(&prepared).await.unwrap_err();
    assert!(matches!(error, Error::Verification { check: Check::Origin, .. }), "{error}");
}

/// [6]
#[tokio::test]
async fn another_entry_than_the_one_that_exists_is_refused() {
    let place = Place::new();
    let signer = place.signer();
    let first = signer.sign(&statement("a")).await.unwrap();
    let second = signer.sign(&statement("b")).await.unwrap();
    signer.submit(&first).await.unwrap();
    signer.submit(&second).await.unwrap();
    place.services.fault(Fault::OtherEntry);
    let error = signer.submit(&second).await.unwrap_err();
    assert!(matches!(error, Error::Answer { service: Service::Rekor, .. }), "{error}");
}

/// [10]: nothing that goes wrong on the way makes a second record.
#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_with_the_same_bytes() {
    for place in [Place::new(), Place::v2()] {
        let signer = place.signer();
        signer.submit(&signer.sign(&statement("before")).await.unwrap()).await.unwrap();
        let prepared = signer.sign(&statement("a")).await.unwrap();
        let again = Prepared::from_bytes(&prepared.to_bytes()).unwrap();
        place.services.fault(Fault::LostAnswer);
        let verified = signer.submit(&prepared).await.unwrap();
        let after_a_restart = place.signer().submit(&again).await.unwrap();
        assert_eq!(after_a_restart.entry, verified.entry);
        let size =
            if place.version == 1 { place.services.rekor().size() as u64 } else { place.services.tiles() };
        assert_eq!(size, 2, "one entry for each record");
    }
}

#[tokio::test]
async fn a_busy_rekor_is_asked_again_and_one_that_stays_busy_is_an_error_that_passes() {
    let place = Place::new();
    let signer = place.signer();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    place.services.fault(Fault::Unavailable(2));
    signer.submit(&prepared).await.unwrap();
    place.services.fault(Fault::Unavailable(u32::MAX));
    let error = signer.submit(&prepared).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("503"), "{error}");
    assert!(signer.health().last_error.is_some());
    place.services.heal();
    signer.submit(&prepared).await.unwrap();
    assert_eq!(signer.health().last_error, None);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let place = Place::new();
    let signer = place.signer();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    place.services.fault(Fault::Oversized);
    let error = signer.submit(&prepared).await.unwrap_err();
    assert!(error.to_string().contains("more than 1024 KiB"), "{error}");
}

/// What Rekor was asked to keep is read back, and what it is kept by is checked like the other entry.
#[tokio::test]
async fn a_statement_that_rekor_did_not_keep_is_noticed_when_it_is_written() {
    let place = Place::new();
    let signer = place.attesting();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    for fault in [Fault::NoAttestation, Fault::SwappedAttestation] {
        place.services.fault(fault);
        let error = signer.submit(&prepared).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("`store_attestation`"), "{error}");
        place.services.heal();
    }
    signer.submit(&prepared).await.unwrap();
}

/// A bundle is published: what Rekor adds to it, and nobody vouches for, is not in it.
#[tokio::test]
async fn what_rekor_says_beside_its_entry_is_not_kept() {
    for place in [Place::new(), Place::v2()] {
        place.services.fault(Fault::Verbose);
        let signer = place.signer();
        let prepared = signer.sign(&statement("a")).await.unwrap();
        let made = signer.submit(&prepared).await.unwrap();
        let text = String::from_utf8(made.bundle).unwrap();
        assert!(text.len() < 16 * 1024 && !text.contains("nobodyAskedForThis"), "{} bytes", text.len());
        let again = place.signer().submit(&prepared).await.unwrap();
        assert!(again.bundle.len() < 16 * 1024);
    }
    let place = Place::new();
    place.services.fault(Fault::Verbose);
    place.services.rekor().original(REFERENCE, &statement("a").digest.to_string(), IDENTITY);
    let adopting = place.with(Settings { adopt_original: vec![us()], ..place.settings() });
    let found = adopting.consult(REFERENCE, &[]).await.unwrap();
    let text = String::from_utf8(found.records[0].bundle.clone()).unwrap();
    assert!(text.len() < 16 * 1024 && !text.contains("nobodyAskedForThis"), "{} bytes", text.len());
    assert_eq!(adopting.verify(text.as_bytes()).unwrap().entry, found.records[0].entry);
}

/// [7]: a key that is older than its certificate signs nothing, whenever it is logged.
#[tokio::test]
async fn a_certificate_that_ended_before_the_entry_was_made_is_signed_again() {
    let place = Place::new();
    let signer = place.signer();
    let (logged, lost) =
        (signer.sign(&statement("a")).await.unwrap(), signer.sign(&statement("b")).await.unwrap());
    signer.submit(&logged).await.unwrap();
    place.clock.advance(std::time::Duration::from_secs(601));
    assert!(matches!(signer.submit(&lost).await, Err(Error::CertificateEnded)));
    assert_eq!(signer.submit(&logged).await.unwrap().statement, statement("a"), "it was in time");
    let anew = signer.sign(&statement("b")).await.unwrap();
    assert_eq!(signer.submit(&anew).await.unwrap().statement, statement("b"));
}

/// [7] for Rekor v2, whose only time is the timestamp's. Nothing with such a one is kept, let alone logged.
#[tokio::test]
async fn a_timestamp_that_is_wrong_foreign_or_too_late_is_no_time() {
    for fault in [Fault::ForeignTimestamp, Fault::OtherImprint, Fault::LateTimestamp] {
        for place in [Place::new(), Place::v2()] {
            place.services.fault(fault);
            let signer = place.signer();
            let error = signer.sign(&statement("a")).await.unwrap_err();
            assert!(matches!(error, Error::Verification { check: Check::Bundle, .. }), "{fault:?}: {error}");
            place.services.heal();
            signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn rekor_2_has_to_be_the_log_that_it_says_and_to_take_entries() {
    for fault in [Fault::ForeignCheckpoint, Fault::OtherTree] {
        let error = failed(&Place::v2(), fault).await;
        assert!(matches!(error, Error::Verification { .. }), "{fault:?}: {error}");
    }
    let error = failed(&Place::v2(), Fault::Frozen).await;
    assert!(error.to_string().contains("frozen") && !error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_checkpoint_of_our_log_is_logged_as_one() {
    for place in [Place::new(), Place::v2()] {
        let signer = place.signer();
        let note = "tlog.example/log\n2\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n\n\u{2014} tlog.example/log x\n";
        let anchored = signer.anchor("tlog.example/log", note).await.unwrap();
        let bundle: serde_json::Value = serde_json::from_slice(&anchored.bundle).unwrap();
        assert!(bundle["dsseEnvelope"]["payload"].is_string());
        // It is no record of a tag.
        let error = signer.verify(&anchored.bundle).unwrap_err();
        assert!(matches!(error, Error::Verification { check: Check::Statement, .. }), "{error}");
    }
}
