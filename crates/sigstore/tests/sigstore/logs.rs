//! More than one log that is believed, and how long: each proves its own entries, in its own time.

use serde_json::Value;
use sigstore::{Error, Settings, TrustSource};

use crate::place::{Place, REFERENCE, statement};

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// [3] and [16]: two logs with the same entry in the same place of the same tree differ in who signed.
#[tokio::test]
async fn a_checkpoint_that_another_believed_log_signed_is_not_the_entrys() {
    let (ours, theirs) = (Place::new(), Place::new());
    let mut root = json(&ours.services.path("trusted_root.json"));
    let other = json(&theirs.services.path("trusted_root.json"))["tlogs"][0].take();
    root["tlogs"].as_array_mut().unwrap().push(other);
    let trusted_root = ours.file("both.json", &root.to_string());
    let signing_config = ours.services.path("signing_config.1.json");
    let settings = || Settings {
        trust: TrustSource::Files {
            trusted_root: trusted_root.clone(),
            signing_config: signing_config.clone(),
        },
        ..ours.settings()
    };
    let url = json(&theirs.services.path("signing_config.1.json"))["rekorTlogUrls"][0]["url"].take();
    let signer = ours.with(settings());
    let elsewhere =
        ours.with(Settings { rekor_url: Some(url.as_str().unwrap().parse().unwrap()), ..settings() });
    let prepared = signer.sign(&statement("a")).await.unwrap();
    let here = signer.submit(&prepared).await.unwrap();
    let there = elsewhere.submit(&prepared).await.unwrap();
    let (mut here, there): (Value, Value) =
        (serde_json::from_slice(&here.bundle).unwrap(), serde_json::from_slice(&there.bundle).unwrap());
    let place = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
    let text = |bundle: &Value| {
        bundle.pointer(place).unwrap().as_str().unwrap().split("\n\n").next().unwrap().to_owned()
    };
    assert_eq!(text(&here), text(&there));
    *here.pointer_mut(place).unwrap() = there.pointer(place).unwrap().clone();
    let outcome = signer.verify(here.to_string().as_bytes());
    assert!(matches!(outcome, Err(Error::Verification { .. })), "{outcome:?}");
}

/// [16]: a key that was retired proves what was logged before, and nothing later.
#[tokio::test]
async fn an_entry_from_after_the_end_of_its_logs_key_is_no_record_and_refuses_no_tag() {
    let place = Place::new();
    let signer = place.signer();
    let made = signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    for (end, count) in [("2023-11-14T22:13:21Z", 1), ("2023-11-14T22:13:19Z", 0)] {
        let trust = TrustSource::Files {
            trusted_root: place.retired(end),
            signing_config: place.services.path("signing_config.1.json"),
        };
        let signer = place.with(Settings { trust, ..place.settings() });
        signer.prepare().await.unwrap();
        assert_eq!(usize::from(signer.verify(&made.bundle).is_ok()), count, "{end}");
        let found = signer.consult(REFERENCE, &[statement("b")]).await.unwrap();
        assert_eq!(found.unreadable.len(), count, "{end}");
    }
}
