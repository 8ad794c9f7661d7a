//! What was kept is checked like what was just written.

use serde_json::{Value, json};
use sigstore::{Check, Error};

use crate::place::{Place, statement};

async fn bundle(place: &Place) -> Value {
    let signer = place.signer();
    let verified = signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    serde_json::from_slice(&verified.bundle).unwrap()
}

fn set(bundle: &Value, pointer: &str, value: Value) -> Vec<u8> {
    let mut changed = bundle.clone();
    *changed.pointer_mut(pointer).unwrap() = value;
    assert_ne!(changed, *bundle, "{pointer}");
    changed.to_string().into_bytes()
}

/// [1] and [4]: the signature is over what the record says, and the entry is of that signature.
#[tokio::test]
async fn any_part_of_a_bundle_that_is_changed_is_noticed() {
    for place in [Place::new(), Place::v2()] {
        let (whole, other) = (bundle(&place).await, {
            let signer = place.signer();
            let verified = signer.submit(&signer.sign(&statement("b")).await.unwrap()).await.unwrap();
            serde_json::from_slice::<Value>(&verified.bundle).unwrap()
        });
        let signer = place.signer();
        signer.prepare().await.unwrap();
        signer.verify(whole.to_string().as_bytes()).unwrap();
        for pointer in [
            "/dsseEnvelope/payload",
            "/dsseEnvelope/signatures/0/sig",
            "/dsseEnvelope/payloadType",
            "/verificationMaterial/tlogEntries/0/canonicalizedBody",
            "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope",
            "/verificationMaterial/tlogEntries/0/logIndex",
            "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
        ] {
            let value = match pointer {
                "/dsseEnvelope/payloadType" => json!("application/json"),
                _ => other.pointer(pointer).unwrap().clone(),
            };
            let changed = set(&whole, pointer, value);
            let outcome = signer.verify(&changed);
            assert!(matches!(outcome, Err(Error::Verification { .. })), "{pointer}: {outcome:?}");
        }
        for changed in [
            set(&whole, "/verificationMaterial/tlogEntries", json!([])),
            set(
                &whole,
                "/verificationMaterial/tlogEntries",
                json!([
                    whole["verificationMaterial"]["tlogEntries"][0],
                    other["verificationMaterial"]["tlogEntries"][0]
                ]),
            ),
            set(&whole, "/mediaType", json!("application/vnd.dev.sigstore.bundle+json;version=0.2")),
            b"{}".to_vec(),
            Vec::new(),
            vec![b' '; 2 << 20],
        ] {
            assert!(signer.verify(&changed).is_err(), "{}", String::from_utf8_lossy(&changed));
        }
    }
}

/// [2]: without a signed time there is none.
#[tokio::test]
async fn an_entry_without_a_signed_entry_timestamp_is_no_record() {
    let place = Place::new();
    let whole = bundle(&place).await;
    let signer = place.signer();
    signer.prepare().await.unwrap();
    let mut changed = whole.clone();
    changed["verificationMaterial"]["tlogEntries"][0].as_object_mut().unwrap().remove("inclusionPromise");
    let error = signer.verify(changed.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Verification { check: Check::Origin | Check::Bundle, .. }), "{error}");
}

/// [16]: whose log and authority is believed is the trusted root's to say.
#[tokio::test]
async fn what_other_services_made_is_not_believed() {
    let (ours, theirs) = (Place::new(), Place::new());
    let foreign = bundle(&theirs).await.to_string();
    let signer = ours.signer();
    signer.prepare().await.unwrap();
    assert!(matches!(signer.verify(foreign.as_bytes()), Err(Error::Verification { .. })));
}

#[tokio::test]
async fn nothing_is_believed_before_it_is_known_who_signs() {
    let place = Place::new();
    let whole = bundle(&place).await.to_string();
    assert!(matches!(place.signer().verify(whole.as_bytes()), Err(Error::NoIdentity)));
}

#[tokio::test]
async fn what_is_zero_or_empty_is_written_for_verifiers_that_demand_it() {
    let place = Place::v2();
    let whole = bundle(&place).await;
    let entry = &whole["verificationMaterial"]["tlogEntries"][0];
    assert_eq!((&entry["logIndex"], &entry["integratedTime"]), (&json!("0"), &json!("0")));
    assert_eq!(entry["inclusionProof"]["hashes"], json!([]));
}
