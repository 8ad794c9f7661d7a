//! Records of the original program, whose entries hold no signature: each check that is left, when one is found and when
//! it is loaded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Sha256Digest;
use serde_json::{Value, json};
use sigstore::{Check, Error, Settings, Sigstore, TrustSource, Verified};
use testkit::sigstore::{Fault, IDENTITY};
use tlog::{Hash, leaf_hash, node_hash};

use crate::place::{Place, REFERENCE, us};

fn adopting(place: &Place) -> Sigstore {
    place.with(Settings { adopt_original: vec![us()], ..place.settings() })
}

fn digest(content: &str) -> String {
    Sha256Digest::of(content.as_bytes()).to_string()
}

async fn adopted(place: &Place) -> Vec<Verified> {
    adopting(place).consult(REFERENCE, &[]).await.unwrap().records
}

/// What a document fails by, after this was done to the entry in it.
async fn failed(place: &Place, document: &Value, change: impl FnOnce(&mut Value)) -> Check {
    let mut changed = document.clone();
    change(&mut changed["entry"]);
    assert_ne!(changed, *document);
    let signer = adopting(place);
    signer.prepare().await.unwrap();
    match signer.verify(changed.to_string().as_bytes()) {
        Err(Error::Verification { check, .. }) => check,
        outcome => panic!("{outcome:?}"),
    }
}

async fn document(place: &Place) -> Value {
    serde_json::from_slice(&adopted(place).await[0].bundle).unwrap()
}

/// [4]: the attestation is what anybody between the log and us can swap.
#[tokio::test]
async fn another_statement_beside_a_genuine_entry_is_not_adopted() {
    let place = Place::new();
    place.services.rekor().original(REFERENCE, &digest("a"), IDENTITY);
    let document = document(&place).await;
    place.services.fault(Fault::SwappedAttestation);
    let found = adopting(&place).consult(REFERENCE, &[]).await.unwrap();
    // Nor is it nothing: it is theirs, and what it says is withheld.
    assert_eq!((found.records.len(), found.unreadable.len()), (0, 1));
    let check = failed(&place, &document, |entry| {
        let data = entry["attestation"]["data"].as_str().unwrap();
        let payload = String::from_utf8(STANDARD.decode(data).unwrap()).unwrap();
        let other = payload.replace(&digest("a"), &digest("b"));
        entry["attestation"]["data"] = json!(STANDARD.encode(other));
    });
    assert_eq!(check.await, Check::Payload);
}

/// [17]: the same account may sign other things.
#[tokio::test]
async fn a_statement_of_another_type_is_not_adopted() {
    let place = Place::new();
    let rekor = place.services.rekor();
    rekor.original_of("https://slsa.dev/provenance/v1", REFERENCE, &digest("a"), IDENTITY);
    assert!(adopted(&place).await.is_empty());
    rekor.original(REFERENCE, &digest("a"), IDENTITY);
    assert_eq!(adopted(&place).await.len(), 1);
}

/// [8]: name and issuer.
#[tokio::test]
async fn records_of_whoever_is_not_named_are_not_adopted() {
    let place = Place::new();
    // So that the index tells of entries of others, whoever asks.
    place.services.fault(Fault::IndexAlone);
    place.services.rekor().original(REFERENCE, &digest("a"), "somebody@example.test");
    place.services.fault(Fault::OtherIssuer);
    place.services.rekor().original(REFERENCE, &digest("b"), IDENTITY);
    assert_eq!(place.services.rekor().size(), 2);
    assert!(adopted(&place).await.is_empty());
}

/// [3]: a proof leads to the root that the log has signed, and to no other.
#[tokio::test]
async fn a_proof_to_another_root_than_the_checkpoints_is_none() {
    let place = Place::new();
    place.services.rekor().original(REFERENCE, &digest("a"), IDENTITY);
    let alone = document(&place).await;
    place.services.rekor().flood("ghcr.io/other/app:v1", 1);
    let of_two = document(&place).await["entry"]["verification"]["inclusionProof"].clone();
    let proof = |entry: &mut Value| entry["verification"]["inclusionProof"].take();
    let check = failed(&place, &alone, |entry| {
        let with = proof(entry);
        entry["verification"]["inclusionProof"] = json!({ "checkpoint": of_two["checkpoint"], "hashes": with["hashes"], "logIndex": with["logIndex"],
                    "rootHash": with["rootHash"], "treeSize": with["treeSize"] });
    });
    assert_eq!(check.await, Check::Entry);
    // Of the size that was signed, and sound in itself.
    let check = failed(&place, &alone, |entry| {
        let body = STANDARD.decode(entry["body"].as_str().unwrap()).unwrap();
        let beside = Hash::of(b"whatever");
        let hex = |hash: &Hash| hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let root = hex(&node_hash(&leaf_hash(&body), &beside));
        entry["verification"]["inclusionProof"] = json!({ "checkpoint": of_two["checkpoint"],
            "hashes": [hex(&beside)], "logIndex": 0, "rootHash": root, "treeSize": 2 });
    });
    assert_eq!(check.await, Check::Entry);
}

/// [16]: a key that was retired proves what was logged before, and nothing later.
#[tokio::test]
async fn an_entry_from_after_the_end_of_its_logs_key_is_not_adopted() {
    let place = Place::new();
    place.services.rekor().original(REFERENCE, &digest("a"), IDENTITY);
    for (end, count) in [("2023-11-14T22:13:21Z", 1), ("2023-11-14T22:13:19Z", 0)] {
        let trust = TrustSource::Files {
            trusted_root: place.retired(end),
            signing_config: place.services.path("signing_config.1.json"),
        };
        let signer = place.with(Settings { adopt_original: vec![us()], trust, ..place.settings() });
        let found = signer.consult(REFERENCE, &[]).await.unwrap();
        assert_eq!(found.records.len(), count, "{end}");
    }
}
