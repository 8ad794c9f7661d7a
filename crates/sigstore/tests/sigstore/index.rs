//! An index that is late, and entries that it alone has.

use sigstore::{Error, Service};

use crate::place::{Place, REFERENCE, statement};

/// [11]: what a search cannot find yet, a later one does.
#[tokio::test]
async fn an_index_that_is_late_has_after_some_searches_what_was_logged_before_them() {
    let place = Place::new();
    place.services.rekor().delay(2);
    let signer = place.signer();
    let made = signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    let found = async || signer.consult(REFERENCE, &[statement("a")]).await.unwrap();
    for _ in 0..2 {
        let found = found().await;
        assert!(found.searched && found.records.is_empty() && found.unreadable.is_empty());
    }
    assert_eq!(found().await.records[0].entry, made.entry);
    signer.submit(&signer.sign(&statement("b")).await.unwrap()).await.unwrap();
    assert!(found().await.unreadable.is_empty());
    place.services.rekor().catch_up();
    assert_eq!(found().await.unreadable.len(), 1);
}

/// [10]: what the index names and nobody shows may be the record that decides.
#[tokio::test]
async fn an_entry_that_the_index_names_and_rekor_withholds_is_an_error_and_not_nothing() {
    let place = Place::new();
    let signer = place.signer();
    for content in ["a", "b"] {
        signer.submit(&signer.sign(&statement(content)).await.unwrap()).await.unwrap();
    }
    let id = place.services.rekor().ids().remove(0);
    place.services.rekor().withhold(&id);
    let error = signer.consult(REFERENCE, &[statement("b")]).await.unwrap_err();
    assert!(matches!(error, Error::Answer { service: Service::Rekor, .. }), "{error}");
    assert!(error.to_string().contains(&id), "{error}");
}
