//! [18]: what a Rekor v1 shows continues what it showed before, whichever of the two is looked at first.

use sigstore::{Error, Settings, Sigstore, Verified};
use testkit::sigstore::Fault;

use crate::place::{Place, REFERENCE, statement};

async fn logged(signer: &Sigstore, content: &str) -> Result<Verified, Error> {
    signer.submit(&signer.sign(&statement(content)).await?).await
}

fn is_fork(error: &Error) -> bool {
    matches!(error, Error::Forked { .. }) && error.to_string().contains("heads.json")
}

#[tokio::test]
async fn a_log_that_shows_another_history_is_refused_when_it_is_written_and_when_it_is_searched() {
    let place = Place::new();
    for content in ["a", "b", "c"] {
        logged(&place.signer(), content).await.unwrap();
    }
    let made = logged(&place.signer(), "d").await.unwrap();
    let candidates = [statement("d")];
    place.services.fault(Fault::Forked);
    let restarted = place.signer();
    let error = restarted.consult(REFERENCE, &candidates).await.unwrap_err();
    assert!(is_fork(&error), "{error}");
    let error = logged(&restarted, "e").await.unwrap_err();
    assert!(is_fork(&error), "{error}");
    let error = restarted.anchor("tlog.example/log", "a checkpoint").await.unwrap_err();
    assert!(is_fork(&error), "{error}");
    place.services.heal();
    let found = restarted.consult(REFERENCE, &candidates).await.unwrap();
    assert_eq!(found.records[0].entry, made.entry);
    logged(&restarted, "f").await.unwrap();
}

#[tokio::test]
async fn whoever_begins_with_the_other_history_notices_the_same() {
    let place = Place::new();
    logged(&place.signer(), "a").await.unwrap();
    let elsewhere = place.with(Settings { heads: None, ..place.settings() });
    logged(&elsewhere, "b").await.unwrap();
    place.services.fault(Fault::Forked);
    let deceived = place.with(Settings { heads: None, ..place.settings() });
    deceived.consult(REFERENCE, &[statement("b")]).await.unwrap();
    place.services.heal();
    let error = deceived.consult(REFERENCE, &[statement("b")]).await.unwrap_err();
    assert!(is_fork(&error), "{error}");
}

#[tokio::test]
async fn a_log_of_the_same_name_with_another_key_is_another_log() {
    let (before, after) = (Place::new(), Place::new());
    logged(&before.signer(), "a").await.unwrap();
    let heads = before.settings().heads;
    logged(&after.with(Settings { heads, ..after.settings() }), "b").await.unwrap();
}

#[tokio::test]
async fn what_was_seen_last_and_cannot_be_read_is_no_beginning() {
    let place = Place::new();
    place.file("heads.json", "{");
    let error = Sigstore::open(place.settings(), sigstore::Clock::default()).err().unwrap();
    assert!(matches!(&error, Error::File { path, .. } if path.ends_with("heads.json")), "{error}");
}
