//! Searching: what the index says is checked, what strangers put there costs nothing but a bounded look.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Sha256Digest;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use sigstore::{Action, Error, SearchBudget, Settings, Statement};
use testkit::sigstore::{Fault, IDENTITY};

use crate::place::{Place, REFERENCE, statement, us};

async fn logged(place: &Place, content: &str) -> sigstore::Verified {
    let signer = place.signer();
    signer.submit(&signer.sign(&statement(content)).await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_record_is_found_again_by_whoever_knows_what_it_may_say() {
    let place = Place::new();
    let made = logged(&place, "a").await;
    let found = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert!(found.searched && found.unreadable.is_empty());
    assert_eq!(found.records.len(), 1);
    assert_eq!((&found.records[0].statement, &found.records[0].entry), (&made.statement, &made.entry));
    let elsewhere =
        place.signer().consult("index.docker.io/library/alpine:3.17", &[statement("a")]).await.unwrap();
    assert!(elsewhere.records.is_empty() && elsewhere.searched);
}

/// [10]: a record that cannot be read is not one that does not exist.
#[tokio::test]
async fn a_record_of_another_digest_is_told_although_it_cannot_be_read() {
    let place = Place::new();
    let made = logged(&place, "a").await;
    let found = place.signer().consult(REFERENCE, &[statement("b")]).await.unwrap();
    assert!(found.records.is_empty());
    assert_eq!(found.unreadable, [made.entry]);
}

#[tokio::test]
async fn a_record_whose_statement_was_kept_is_read_whatever_it_says() {
    let place = Place::new();
    let signer = place.attesting();
    signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    let found = place.signer().consult(REFERENCE, &[statement("b")]).await.unwrap();
    assert_eq!(found.records[0].statement, statement("a"));
    assert!(found.unreadable.is_empty() && found.records.len() == 1, "{found:?}");
}

/// The entry alone was logged in time; what keeps its statement came later, and is no record itself.
#[tokio::test]
async fn a_statement_that_was_kept_after_its_certificates_end_is_read_for_the_entry_that_was_in_time() {
    let place = Place::new();
    let prepared = place.signer().sign(&statement("a")).await.unwrap();
    let made = place.signer().submit(&prepared).await.unwrap();
    place.clock.advance(std::time::Duration::from_secs(3_600));
    place.attesting().submit(&prepared).await.unwrap();
    assert_eq!(place.services.rekor().size(), 2);
    let found = place.signer().consult(REFERENCE, &[statement("b")]).await.unwrap();
    assert!(found.unreadable.is_empty(), "{found:?}");
    assert_eq!(found.records[0].entry, made.entry);
}

/// [4]: the statement beside the log is what was logged, or it is nothing.
#[tokio::test]
async fn an_attestation_that_was_swapped_or_withheld_is_not_believed() {
    for fault in [Fault::SwappedAttestation, Fault::NoAttestation] {
        let place = Place::new();
        let signer = place.attesting();
        signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
        place.services.fault(fault);
        let found = place.signer().consult(REFERENCE, &[statement("b")]).await.unwrap();
        assert!(found.records.is_empty(), "{fault:?}");
        assert!(!found.unreadable.is_empty(), "{fault:?}");
    }
}

/// [5], [13], [15]: entries of strangers, of other kinds, or of garbage.
#[tokio::test]
async fn strangers_under_the_same_key_are_passed_over_and_only_counted() {
    let place = Place::new();
    let made = logged(&place, "a").await;
    place.services.rekor().flood(REFERENCE, 30);
    let found = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert_eq!((found.records.len(), found.foreign), (1, 30));
    assert_eq!(found.records[0].entry, made.entry);
}

/// [13]: a flood does not slow a pull beyond its budget.
#[tokio::test]
async fn a_flood_beyond_the_budget_ends_the_search_with_an_error_that_passes() {
    let place = Place::new();
    logged(&place, "a").await;
    place.services.rekor().flood(REFERENCE, 100);
    let before = place.services.requests();
    let error = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap_err();
    assert!(matches!(&error, Error::SearchBudget { reference, .. } if reference == REFERENCE), "{error}");
    assert!(error.is_transient());
    assert_eq!(place.services.requests() - before, 1, "no entry was fetched");
    let patient = SearchBudget { entries: 200, ..place.settings().search };
    let signer = place.with(Settings { search: patient, ..place.settings() });
    assert_eq!(signer.consult(REFERENCE, &[statement("a")]).await.unwrap().records.len(), 1);
}

/// An `intoto` 0.0.2 entry by a stranger's key, about the tag that is looked for, that Rekor keeps beside it.
async fn by_a_stranger(place: &Place, number: usize, size: usize) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let said = Statement {
        action: Action::Supersede { reason: format!("{number}{}", "x".repeat(size)) },
        ..statement("x")
    };
    let payload = said.to_payload();
    let kind = "application/vnd.in-toto+json";
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    let signature = key.sign(&message).unwrap();
    let twice = |bytes: &[u8]| STANDARD.encode(STANDARD.encode(bytes));
    let entry = serde_json::json!({ "kind": "intoto", "apiVersion": "0.0.2", "spec": { "content": {
        "envelope": { "payloadType": kind, "payload": twice(&payload), "signatures": [
            { "sig": twice(&signature), "publicKey": STANDARD.encode(key.public_key_pem()) },
        ]},
        "hash": { "algorithm": "sha256", "value": "00" },
    }}});
    let config = std::fs::read(place.services.path("signing_config.1.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let url = format!("{}/api/v1/log/entries", config["rekorTlogUrls"][0]["url"].as_str().unwrap());
    let reply = testkit::wire::Request::new("POST", &url).body(entry.to_string()).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// [13] and [15]: what strangers put there is passed over, whatever its size.
#[tokio::test]
async fn a_few_large_entries_of_a_stranger_do_not_end_a_search() {
    let place = Place::new();
    // Rekor keeps attestations of up to 100 KiB.
    for number in 0..10 {
        by_a_stranger(&place, number, 99 * 1024).await;
    }
    by_a_stranger(&place, 10, 400 * 1024).await;
    let patient = SearchBudget { entries: 10_000, time: std::time::Duration::from_secs(600) };
    let ours = place.with(Settings { search: patient, ..place.settings() });
    let made = ours.submit(&ours.sign(&statement("a")).await.unwrap()).await.unwrap();
    let found = ours.consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert_eq!((found.records.len(), found.foreign), (1, 11));
    assert_eq!(found.records[0].entry, made.entry);
}

/// [17]: a statement counts for its own reference, type and log, whoever puts it where.
#[tokio::test]
async fn an_index_that_lies_finds_only_what_is_there() {
    let place = Place::new();
    let other = Statement { reference: "ghcr.io/org/app:v1".to_owned(), ..statement("x") };
    let signer = place.attesting();
    signer.submit(&signer.sign(&other).await.unwrap()).await.unwrap();
    signer.anchor("tlog.example/log", "a checkpoint").await.unwrap();
    place.services.fault(Fault::IndexLies);
    let found = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert!(found.records.is_empty(), "{found:?}");
}

#[tokio::test]
async fn records_of_another_log_of_ours_are_not_this_logs() {
    let place = Place::new();
    let signer = place.attesting();
    let theirs = Statement { log_origin: Some("other.example/log".to_owned()), ..statement("x") };
    signer.submit(&signer.sign(&theirs).await.unwrap()).await.unwrap();
    let found = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert!(found.records.is_empty());
    let anybody = place.with(Settings { log_origin: None, ..place.settings() });
    assert_eq!(anybody.consult(REFERENCE, &[]).await.unwrap().records.len(), 1);
}

/// [12]: two first records, and the earliest decides; re-pins follow by name.
#[tokio::test]
async fn records_come_earliest_first_and_re_pins_name_what_they_follow() {
    let place = Place::new();
    let signer = place.attesting();
    let first = signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    place.clock.advance(std::time::Duration::from_secs(5));
    signer.submit(&signer.sign(&statement("late")).await.unwrap()).await.unwrap();
    let next = Statement {
        digest: Sha256Digest::of(b"b"),
        sequence: 1,
        previous: Some(first.pae_hash),
        action: Action::Supersede { reason: "rebuilt".to_owned() },
        ..statement("a")
    };
    signer.submit(&signer.sign(&next).await.unwrap()).await.unwrap();
    let found = place.signer().consult(REFERENCE, &[]).await.unwrap();
    let digests: Vec<_> = found.records.iter().map(|record| record.statement.digest).collect();
    assert_eq!(digests, [b"a".as_slice(), b"late", b"b"].map(Sha256Digest::of));
    assert_eq!(found.records[2].statement.previous, Some(found.records[0].pae_hash));
}

/// [11]: what an index leaves out is for the caller's own log to know.
#[tokio::test]
async fn an_index_that_loses_or_is_not_there_says_so_as_far_as_it_can() {
    let place = Place::new();
    logged(&place, "a").await;
    place.services.fault(Fault::IndexLoses);
    let found = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert!(found.records.is_empty() && found.searched);
    place.services.heal();
    place.services.rekor().delay(u32::MAX);
    logged(&place, "late").await;
    let both = [statement("a"), statement("late")];
    assert_eq!(place.signer().consult(REFERENCE, &both).await.unwrap().records.len(), 1);
    place.services.rekor().catch_up();
    assert_eq!(place.signer().consult(REFERENCE, &both).await.unwrap().records.len(), 2);
    place.services.heal();
    place.services.fault(Fault::NoIndex);
    assert!(!place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap().searched);
    place.services.heal();
    place.services.fault(Fault::IndexAlone);
    assert_eq!(place.signer().consult(REFERENCE, &both).await.unwrap().records.len(), 2);
    assert!(!Place::v2().signer().consult(REFERENCE, &[]).await.unwrap().searched, "Rekor v2 has none");
}

/// The day on which a Rekor v2 is written to, what was logged before is still there.
#[tokio::test]
async fn what_rekor_1_has_is_found_by_a_service_that_writes_to_rekor_2_and_what_it_writes_is_not() {
    let place = Place::new();
    let before = logged(&place, "a").await;
    let place = Place { version: 2, ..place };
    let found = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert_eq!(found.records[0].entry, before.entry);
    assert!(!found.searched, "what it logs now is not found");
    let other = place.signer().consult(REFERENCE, &[statement("b")]).await.unwrap();
    assert_eq!(other.unreadable, [before.entry]);
}

/// [10] and [19]: a search that fails is an error, never "not found".
#[tokio::test]
async fn a_search_that_cannot_be_finished_is_an_error() {
    for fault in [Fault::Unavailable(u32::MAX), Fault::Oversized, Fault::AlteredBody, Fault::OtherEntry] {
        let place = Place::new();
        logged(&place, "a").await;
        place.services.rekor().flood("ghcr.io/other/app:v1", 1);
        place.services.fault(fault);
        assert!(place.signer().consult(REFERENCE, &[statement("a")]).await.is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn records_of_the_original_program_are_adopted_from_whom_we_name() {
    let place = Place::new();
    let digest = Sha256Digest::of(b"a").to_string();
    place.services.rekor().original(REFERENCE, &digest, IDENTITY);
    let none = place.signer().consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert!(none.records.is_empty());
    let adopting = || place.with(Settings { adopt_original: vec![us()], ..place.settings() });
    let found = adopting().consult(REFERENCE, &[statement("b")]).await.unwrap();
    assert_eq!(found.records.len(), 1);
    let record = &found.records[0];
    assert_eq!((record.statement.digest, record.signature_verified), (Sha256Digest::of(b"a"), false));
    let signer = adopting();
    signer.prepare().await.unwrap();
    assert_eq!(signer.verify(&record.bundle).unwrap().entry, record.entry);
    assert!(place.signer().verify(&record.bundle).is_err(), "not by whoever does not name them");
}

#[tokio::test]
async fn a_record_of_the_original_program_is_checked_as_far_as_it_can_be() {
    for fault in [
        Fault::ForeignSet,
        Fault::ForeignCheckpoint,
        Fault::WrongProof,
        Fault::OtherTree,
        Fault::SwappedAttestation,
        Fault::NoAttestation,
    ] {
        let place = Place::new();
        place.services.rekor().original(REFERENCE, &Sha256Digest::of(b"a").to_string(), IDENTITY);
        place.services.fault(fault);
        let signer = place.with(Settings { adopt_original: vec![us()], ..place.settings() });
        // What Rekor itself gets wrong ends the search; what a stranger could have made is passed over.
        let found = signer.consult(REFERENCE, &[]).await;
        assert!(found.is_err() || found.unwrap().records.is_empty(), "{fault:?}");
    }
    let place = Place::new();
    place.services.fault(Fault::OtherChain);
    place.services.rekor().original(REFERENCE, &Sha256Digest::of(b"a").to_string(), IDENTITY);
    let signer = place.with(Settings { adopt_original: vec![us()], ..place.settings() });
    assert!(
        signer.consult(REFERENCE, &[]).await.unwrap().records.is_empty(),
        "a certificate of its own making"
    );
}
