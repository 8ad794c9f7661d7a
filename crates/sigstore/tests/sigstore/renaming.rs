//! Another identity or key than before: what the former one signed is found, checked and watched, and it signs nothing more.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use sigstore::monitor::State;
use sigstore::{Error, Former, Identity, Settings, SignerSource, Sigstore, Subject, Verified};
use testkit::sigstore::ISSUER;

use crate::place::{Place, REFERENCE, statement, us};

async fn logged(signer: &Sigstore, content: &str) -> Verified {
    signer.submit(&signer.sign(&statement(content)).await.unwrap()).await.unwrap()
}

fn renamed(place: &Place, former: Vec<Former>) -> Sigstore {
    place.services.identity("renamed@example.test");
    place.with(Settings { former, ..place.settings() })
}

#[tokio::test]
async fn records_of_a_former_identity_are_ours_and_new_ones_are_signed_by_the_new_one() {
    let place = Place::new();
    let made = logged(&place.signer(), "a").await;
    let stranger = renamed(&place, Vec::new());
    assert!(stranger.consult(REFERENCE, &[statement("a")]).await.unwrap().records.is_empty());
    assert!(matches!(stranger.verify(&made.bundle), Err(Error::Verification { .. })));
    let service = renamed(&place, vec![Former::Workload(us())]);
    let found = service.consult(REFERENCE, &[statement("a")]).await.unwrap();
    assert_eq!((&found.records[0].entry, &found.records[0].identity), (&made.entry, &us()));
    let other = service.consult(REFERENCE, &[statement("b")]).await.unwrap();
    assert_eq!(other.unreadable, std::slice::from_ref(&made.entry));
    assert_eq!(service.unexplained(REFERENCE, &[]).await.unwrap(), std::slice::from_ref(&made.entry));
    assert_eq!(service.verify(&made.bundle).unwrap().identity, us());
    let new =
        Identity { subject: Subject::Email("renamed@example.test".to_owned()), issuer: ISSUER.to_owned() };
    assert_eq!(logged(&service, "c").await.identity, new);
}

#[tokio::test]
async fn a_former_identity_does_not_sign() {
    let place = Place::new();
    let service = place.with(Settings {
        identity: Some(Identity {
            subject: Subject::Email("new@example.test".to_owned()),
            issuer: ISSUER.to_owned(),
        }),
        former: vec![Former::Workload(us())],
        ..place.settings()
    });
    let error = service.sign(&statement("a")).await.unwrap_err();
    assert!(error.to_string().contains("new@example.test"), "{error}");
}

#[tokio::test]
async fn records_of_a_former_key_are_ours_also_by_certificates() {
    for place in [Place::new(), Place::v2()] {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let signer = SignerSource::ManagedKey(place.file("key.pem", &key.serialize_pem()));
        let made = logged(&place.with(Settings { signer, ..place.settings() }), "a").await;
        let public = place.file("key.pub.pem", &key.public_key_pem());
        let service = place.with(Settings { former: vec![Former::Key(public)], ..place.settings() });
        service.prepare().await.unwrap();
        assert_eq!(service.verify(&made.bundle).unwrap().entry, made.entry);
        if place.version == 1 {
            let found = service.consult(REFERENCE, &[statement("a")]).await.unwrap();
            assert_eq!(found.records[0].entry, made.entry);
        } else {
            let mut found = 0;
            service.watch(&mut State::default(), |_| found += 1, |_, _| ()).await.unwrap();
            assert_eq!(found, 1);
        }
    }
    let place = Place::new();
    let path = place.file("private.pem", &KeyPair::generate().unwrap().serialize_pem());
    let settings = Settings { former: vec![Former::Key(path)], ..place.settings() };
    let error = Sigstore::open(settings, sigstore::Clock::default()).err().unwrap();
    assert!(error.to_string().contains("private.pem") && error.to_string().contains("public key"), "{error}");
}

#[tokio::test]
async fn what_somebody_signs_as_a_former_identity_is_watched() {
    let place = Place::v2();
    logged(&place.signer(), "stolen").await;
    let mut found = 0;
    let service = renamed(&place, vec![Former::Workload(us())]);
    service.watch(&mut State::default(), |_| found += 1, |_, _| ()).await.unwrap();
    assert_eq!(found, 1);
}

/// A key was exchanged while something that it had signed was not logged yet.
#[tokio::test]
async fn what_a_former_key_signed_and_could_not_finish_is_finished() {
    let place = Place::new();
    let key = |name: &str| {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        (SignerSource::ManagedKey(place.file(name, &key.serialize_pem())), key.public_key_pem())
    };
    let ((before, public), (now, _)) = (key("before.pem"), key("now.pem"));
    let old = place.with(Settings { signer: before, ..place.settings() });
    let begun = old.sign(&statement("a")).await.unwrap();
    let stranger = place.with(Settings { signer: now.clone(), ..place.settings() });
    assert!(matches!(stranger.submit(&begun).await, Err(Error::Verification { .. })));
    let former = vec![Former::Key(place.file("before.pub.pem", &public))];
    let service = place.with(Settings { signer: now, former, ..place.settings() });
    assert_eq!(service.submit(&begun).await.unwrap().statement, statement("a"));
}
